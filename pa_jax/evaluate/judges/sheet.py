"""A sheet for people to rate snippets on, out and in again as CSV, and how judges agree with it."""

import csv
import hashlib
import io
import itertools
import pathlib
import random
import re
from collections.abc import Mapping, Sequence

import numpy as np

from pa_jax.core import files
from pa_jax.evaluate.judges import agreement, statistics
from pa_jax.judge import rubric

LEVELS = (1, 2, 3, 4, 5)
_SHOWN = ("id", "known_before", "assistant_said", "user_said", "note")
COLUMNS = (*_SHOWN, *rubric.CRITERIA, "remark")
# A spreadsheet takes a cell that begins so for a formula (OWASP's list, full-width forms too).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_MARK = "'"

Labels = dict[str, np.ndarray]  # by id: four ratings 0 .. 4, nan where the cell was left blank


def item_id(case: agreement.Case, name: str) -> str:
    """A row's name: tells nothing of the note, and is never taken for a number."""
    text = f"{case.episode.id}\x1f{case.texts[name]}"
    return "n" + hashlib.sha256(text.encode()).hexdigest()[:15]


def write(path: pathlib.Path, made: Sequence[agreement.Case], *, seed: int) -> int:
    """Writes two rows a case, its right note and a spoilt one, in random order; how many.

    Raters see neither which is which nor the gold. Cells that a spreadsheet would run as a formula
    get a leading apostrophe; the file begins with the mark by which Excel knows UTF-8.
    """
    rng = random.Random(f"sheet/{seed}")
    rows = []
    for case in made:
        for name in ("right", rng.choice(rubric.CRITERIA)):
            episode = case.episode
            shown = ("\n".join(episode.profile), episode.context, episode.user, case.texts[name])
            rows.append([item_id(case, name), *shown, *[""] * len(rubric.CRITERIA), ""])
    rng.shuffle(rows)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([[_safe(cell) for cell in row] for row in rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    files.atomic_write(path, out.getvalue().encode("utf-8-sig"))
    return len(rows)


def read(path: pathlib.Path) -> Labels:
    """Ratings of a filled-in sheet; rows without any are left out. ValueError names a bad cell.

    Commas, semicolons or tabs, whichever the spreadsheet program saved with.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error}); save it as CSV in UTF-8.") from error
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        columns = rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or ()]
        lines = [(rows.line_num, row) for row in rows]
    except csv.Error as error:
        raise ValueError(f"{path} is no CSV ({error}); save it again from its program.") from error
    missing = {"id", *rubric.CRITERIA} - set(columns)
    if missing:
        raise ValueError(
            f"{path} has no column {sorted(missing)}; it has {list(columns)}. Give a sheet that "
            "--config.sheet wrote."
        )
    found: Labels = {}
    for line, row in lines:
        ratings = np.array([_rating(row[name], name, path, line) for name in rubric.CRITERIA])
        if np.isnan(ratings).all():
            continue
        name = _plain(row["id"] or "")
        if name in found:
            raise ValueError(f"{path}, line {line}: id {name!r} occurs twice; keep one.")
        found[name] = ratings
    if not found:
        raise ValueError(f"{path} holds no rating; fill in 1 to 5 under {list(rubric.CRITERIA)}.")
    return found


def against_judge(
    made: Sequence[agreement.Case], scores: rubric.Scores, labels: Labels
) -> dict[str, statistics.Figures]:
    """By criterion: n, failed, kappa, weighted kappa, AUC and calibration error on the labels.

    A note is good above the middle rating, a verdict above 0.5; the weighted kappa is of the score
    rounded to the five levels.
    """
    places = {
        item_id(case, name): (i, k)
        for i, case in enumerate(made)
        for k, name in enumerate(case.texts)
    }
    unknown = sorted(set(labels) - set(places))
    if unknown:
        raise ValueError(
            f"{len(unknown)} of {len(labels)} labelled notes are none of this run's, {unknown[0]} "
            "for one; use the data, split, episodes and seed that the sheet was written with."
        )
    ids = list(labels)
    at = tuple(np.array([places[name] for name in ids]).T)
    ratings = np.stack([labels[name] for name in ids])
    failed, values = scores.failed[at], scores.values[at].astype(np.float64)
    report = {}
    for k, criterion in enumerate(rubric.CRITERIA):
        used = ~np.isnan(ratings[:, k])
        fine = used & ~failed
        report[criterion] = {"n": int(fine.sum()), "failed": int((used & failed).sum())} | _figures(
            values[fine, k], ratings[fine, k]
        )
    return report


def between(sheets: Mapping[str, Labels]) -> dict[str, statistics.Figures]:
    """Weighted kappa of every two raters over what both rated: the ceiling of any judge."""
    report = {}
    for one, other in itertools.combinations(sheets, 2):
        shared = sorted(set(sheets[one]) & set(sheets[other]))
        figures: statistics.Figures = {"n": len(shared)}
        pair = [
            np.array([sheets[who][name] for name in shared]).reshape(-1, len(rubric.CRITERIA))
            for who in (one, other)
        ]
        for k, criterion in enumerate(rubric.CRITERIA):
            used = ~np.isnan(pair[0][:, k]) & ~np.isnan(pair[1][:, k])
            levels = (ratings[used, k].astype(int) for ratings in pair)
            figures[criterion] = statistics.kappa(*levels, levels=len(LEVELS), quadratic=True)
        report[f"{one} and {other}"] = figures
    return report


def merged(sheets: Mapping[str, Labels]) -> Labels:
    """The mean rating of all who rated, by id."""
    names = dict.fromkeys(name for labels in sheets.values() for name in labels)
    found = {}
    for name in names:
        ratings = np.stack([labels[name] for labels in sheets.values() if name in labels])
        count = np.sum(~np.isnan(ratings), axis=0)
        found[name] = np.where(count, np.nansum(ratings, axis=0) / np.maximum(count, 1), np.nan)
    return found


def _figures(score: np.ndarray, rating: np.ndarray) -> dict[str, float]:
    top = len(LEVELS) - 1
    good, verdict = rating > top / 2, score > 0.5
    return {
        "kappa": statistics.kappa(verdict.astype(int), good.astype(int), levels=2, quadratic=False),
        "kappa_weighted": statistics.kappa(
            np.rint(score * top).astype(int),
            np.rint(rating).astype(int),
            levels=len(LEVELS),
            quadratic=True,
        ),
        "auc": agreement.auc(score[good], score[~good]),
        "ece": statistics.calibration(score, good).ece,
    }


def _safe(cell: str) -> str:
    """The cell, marked where a spreadsheet would run it or it begins with the mark itself."""
    return _MARK + cell if cell.lstrip(" ").startswith((*_FORMULA, _MARK)) else cell


def _plain(cell: str) -> str:
    """`_safe` undone."""
    bare = cell[len(_MARK) :]
    return bare if cell.startswith(_MARK) and _safe(bare) == cell else cell


def _rating(cell: str | None, name: str, path: pathlib.Path, line: int) -> float:
    text = re.sub(r"[.,]0+$", "", _plain((cell or "").strip()))  # 5.0, as tables are saved again
    if not text:
        return float("nan")
    if text not in map(str, LEVELS):
        raise ValueError(
            f"{path}, line {line}: {name} is {text!r}; a rating is one of {LEVELS}, or blank."
        )
    return float(int(text) - LEVELS[0])
