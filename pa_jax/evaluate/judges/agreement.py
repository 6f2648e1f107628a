"""How far a judge can be trusted: right snippets against spoilt ones and canaries."""

import dataclasses
import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tqdm

from pa_jax.core.typing import Float
from pa_jax.dialogue import schema, snippet, tokenizer
from pa_jax.english import statements
from pa_jax.english import words as english
from pa_jax.evaluate.judges import canaries, rewording, statistics
from pa_jax.judge import judge, rubric

CHUNK = 40  # items between two signs of progress
ADDED_PROFILE = 3  # statements that an episode without a profile gets


def auc(good: Float[np.ndarray, " a"], bad: Float[np.ndarray, " b"]) -> float:
    """Chance that a good one scores above a bad one, ties half; nan where either is missing."""
    if not len(good) or not len(bad):
        return float("nan")
    ordered = np.sort(bad)
    below = np.searchsorted(ordered, good, side="left")
    up_to = np.searchsorted(ordered, good, side="right")
    return float((below + up_to).mean() / (2 * len(bad)))


def win_rate(good: Float[np.ndarray, " a"], bad: Float[np.ndarray, " a"]) -> float:
    """Share of pairs that the good one wins, ties half; nan without pairs."""
    if not len(good):
        return float("nan")
    return float(np.mean((good > bad) + 0.5 * (good == bad)))


@dataclasses.dataclass(frozen=True)
class Case:
    """One episode with the texts that a judge is measured on, by name."""

    episode: schema.Episode
    texts: dict[str, str]


def cases(
    episodes: Sequence[schema.Episode], others: Sequence[schema.Episode], *, seed: int
) -> list[Case]:
    """Right, spoilt and canary snippets of every episode that has something to note.

    `others` lend another user's preference, of another slot or, of no known one, of other words. An
    episode without a profile (PrefEval's explicit form) gets one of ADDED_PROFILE preferences of
    `others` of other topics.
    """
    made = []
    lenders = [o for o in others if o.gold not in (None, snippet.NOTHING)]
    for episode in episodes:
        if episode.gold in (None, snippet.NOTHING):
            continue
        rng = random.Random(f"{seed}/{episode.id}")
        strangers = [o for o in lenders if o.user_id != episode.user_id and _apart(o, episode)]
        if len(strangers) <= ADDED_PROFILE:
            raise ValueError(
                f"others: {len(strangers)} episodes of another user and topic than {episode.id}, "
                f"more than {ADDED_PROFILE} are needed; give episodes of more users."
            )
        other, *added = rng.sample(strangers, 1 + ADDED_PROFILE)
        if not episode.profile:
            lines = tuple(rewording.right(o.wanted, rng).splitlines()[0] for o in added)
            episode = dataclasses.replace(episode, profile=lines)
        right = rewording.right(episode.wanted, rng)
        texts = {"right": right}
        texts |= canaries.spoilt(right, rewording.right(other.wanted, rng), episode, rng)
        texts |= {name: make(episode) for name, make in canaries.CANARIES.items()}
        made.append(Case(episode, texts))
    if not made:
        raise ValueError("no episode with a gold preference to measure on; give some.")
    return made


def _apart(one: schema.Episode, other: schema.Episode) -> bool:
    """Whether two preferences are of different slots, or of no known one and share no word."""
    if one.slot or other.slot:
        return one.slot != other.slot
    return not statements.content(one.wanted) & statements.content(other.wanted)


def judged(
    judge: judge.Judge, made: Sequence[Case], words: tokenizer.Tokenizer | None
) -> rubric.Scores:
    """Scores of every case's texts in their order.

    `words` gives the ids of a judge that reads ids, None leaves them empty.
    """
    groups = [group(case.episode, tuple(case.texts.values()), words) for case in made]
    parts = []
    with tqdm.tqdm(total=len(groups), unit="item", desc=judge.kind) as bar:
        for start in range(0, len(groups), CHUNK):
            parts.append(judge.score(groups[start : start + CHUNK]))
            bar.update(len(groups[start : start + CHUNK]))
    values = np.concatenate([part.values for part in parts])
    return rubric.Scores(values, np.concatenate([part.failed for part in parts]))


def group(
    episode: schema.Episode, texts: Sequence[str], words: tokenizer.Tokenizer | None
) -> rubric.Group:
    """Texts as a judge takes them, with their ids where it reads ids."""
    ids = tuple(tuple(words.encode(text)) if words else () for text in texts)
    return rubric.Group(episode, ids, tuple(texts))


def measure(
    judge: judge.Judge,
    episodes: Sequence[schema.Episode],
    others: Sequence[schema.Episode],
    *,
    seed: int,
    words: tokenizer.Tokenizer | None,
) -> dict[str, Any]:
    """`figures` of one judge on fresh cases; `words` is its tokenizer, None if it reads no ids."""
    made = cases(episodes, others, seed=seed)
    report = figures(made, judged(judge, made, words))
    report["canaries_lose"] |= trapped(judge, made, words)
    return report


def trapped(
    judge: judge.Judge, made: Sequence[Case], words: tokenizer.Tokenizer | None
) -> dict[str, float]:
    """How often the canaries lose that need an episode of their own: canaries.TRAPS.

    What somebody else says in them is the other user's statement of the invented snippet.
    """
    shares = {}
    for name, make in canaries.TRAPS.items():
        groups = []
        for case in made:
            episode, text = make(case.episode, case.texts["no_hallucination"].splitlines()[-1])
            groups.append(group(episode, (case.texts["right"], text), words))
        parts = [judge.score(groups[at : at + CHUNK]) for at in range(0, len(groups), CHUNK)]
        mean = np.concatenate([part.values.mean(axis=-1) for part in parts])
        ok = ~np.concatenate([part.failed.any(axis=-1) for part in parts])
        lost = mean[ok, 0] > mean[ok, 1]
        shares[name] = float(lost.mean()) if ok.any() else float("nan")
    return shares


def figures(made: Sequence[Case], scores: rubric.Scores) -> dict[str, Any]:
    """AUC per criterion and of the mean, paired wins, canary losses, agreement, calibration.

    Aggregate is the mean of the four scores, right against the spoilt snippets of all criteria. A
    canary loses a pair when its mean is below the right snippet's; a tie is no loss. ece is of
    right (good) and spoilt snippets. Failed verdicts are left out and counted.
    """
    names = list(made[0].texts)
    mean = scores.values.mean(axis=-1)
    ok = ~scores.failed
    report: dict[str, Any] = {
        "items": len(made),
        "failed": int(scores.failed.sum()),
        "auc": {},
        "paired": {},
        "aggregate_paired": {},
        "ece": {},
        "canaries_lose": {},
        "means": {
            name: {
                c: float(scores.values[ok[:, i], i, k].mean()) if ok[:, i].any() else None
                for k, c in enumerate(rubric.CRITERIA)
            }
            for i, name in enumerate(names)
        },
    }
    right, fine = 0, ok[:, 0]
    for k, name in enumerate(rubric.CRITERIA):
        at = names.index(name)
        both = fine & ok[:, at]
        good, bad = scores.values[:, right, k], scores.values[:, at, k]
        report["auc"][name] = auc(good[fine], bad[ok[:, at]])
        report["paired"][name] = win_rate(good[both], bad[both])
        report["aggregate_paired"][name] = win_rate(mean[both, right], mean[both, at])
        pooled = np.concatenate([good[fine], bad[ok[:, at]]])
        is_good = np.arange(len(pooled)) < fine.sum()
        report["ece"][name] = statistics.calibration(pooled, is_good).ece
    spoilt = [names.index(name) for name in rubric.CRITERIA]
    bad = np.concatenate([mean[ok[:, at], at] for at in spoilt])
    report["aggregate"] = auc(mean[fine, right], bad)
    for name in canaries.CANARIES:
        at = names.index(name)
        both = fine & ok[:, at]
        lost = mean[both, right] > mean[both, at]
        report["canaries_lose"][name] = float(lost.mean()) if both.any() else float("nan")
    report["agreement"] = _agreement(made, scores)
    return report


def between(
    made: Sequence[Case], scores: Mapping[str, rubric.Scores]
) -> dict[str, statistics.Figures]:
    """Every two judges on the same cases, over what both gave a verdict on.

    By criterion Cohen's kappa of verdicts (above 0.5) and Spearman's correlation; of the mean
    scores Spearman's within items, and the share of pairs right against spoilt with one winner.
    """
    names = list(made[0].texts)
    spoilt = [names.index(name) for name in rubric.CRITERIA]
    report = {}
    for one, other in itertools.combinations(scores, 2):
        ok = ~scores[one].failed & ~scores[other].failed
        pair = [scores[kind].values.astype(np.float64) for kind in (one, other)]
        found: statistics.Figures = {"n": int(ok.sum())}
        for k, criterion in enumerate(rubric.CRITERIA):
            a, b = (values[..., k][ok] for values in pair)
            verdicts = ((x > 0.5).astype(int) for x in (a, b))
            found[f"kappa/{criterion}"] = statistics.kappa(*verdicts, levels=2, quadratic=False)
            found[f"rank/{criterion}"] = statistics.rank_correlation(a, b)
        means = [values.mean(axis=-1) for values in pair]
        within = [
            statistics.rank_correlation(*(mean[i][ok[i]] for mean in means))
            for i in range(len(made))
        ]
        within = [x for x in within if np.isfinite(x)]
        found["rank/within_items"] = float(np.mean(within)) if within else float("nan")
        won = [np.sign(mean[:, :1] - mean[:, spoilt]) for mean in means]
        both = ok[:, :1] & ok[:, spoilt]
        same = (won[0] == won[1])[both]
        found["same_winner"] = float(same.mean()) if same.size else float("nan")
        report[f"{one} and {other}"] = found
    return report


def _agreement(made: Sequence[Case], scores: rubric.Scores) -> float:
    """Mean over episodes of the correlation of a snippet's mean score and its F1 with gold."""
    found = []
    for i, case in enumerate(made):
        f1 = np.array([english.token_f1(t, case.episode.wanted) for t in case.texts.values()])
        value, ok = scores.values[i].mean(axis=-1), ~scores.failed[i]
        if ok.sum() > 2 and np.std(f1[ok]) > 0 and np.std(value[ok]) > 0:
            found.append(np.corrcoef(f1[ok], value[ok])[0, 1])
    return float(np.mean(found)) if found else float("nan")
