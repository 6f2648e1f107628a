"""What moves a judge and should not: length, place in the group, authorship."""

import random
from collections.abc import Sequence

import numpy as np

from pa_jax.dialogue import snippet, tokenizer
from pa_jax.evaluate.judges import agreement, statistics
from pa_jax.judge import judge, reference, rubric

_BEFORE = (
    "As far as this turn of the conversation goes, it can be said that ",
    "Going by what was said here, and taking it as it stands, ",
    "It is worth noting down for later conversations that ",
)
_AFTER = (
    ", and this is what there is to note about it.",
    ", as the conversation shows, no more and no less.",
    ", which is worth keeping in mind when talking to them again.",
)


def padded(text: str, rng: random.Random) -> str:
    """The snippet with words around every statement that add nothing; too long ones stay bare."""
    lines = []
    for line in text.splitlines():
        made = rng.choice(_BEFORE) + line[:1].lower() + line[1:].rstrip(".") + rng.choice(_AFTER)
        lines.append(made if len(made) <= snippet.MAX_CHARS else line)
    return "\n".join(lines)


def length(
    judge: judge.Judge,
    made: Sequence[agreement.Case],
    words: tokenizer.Tokenizer | None,
    *,
    seed: int,
) -> dict[str, float]:
    """Whether longer is better.

    padded_wins   share of right snippets that lose to their own padded form (0.5 is no bias on
                  noise, 0 a judge that always minds padding; ties count half)
    padded_gain   what padding adds to the mean score
    correlation   Spearman's, of mean score and number of words over right snippets
    """
    rows = []
    for case in made:
        right = case.texts["right"]
        rows.append((right, padded(right, random.Random(f"{seed}/{case.episode.id}"))))
    mean, ok = _means(judge, made, rows, words)
    both = ok.all(axis=1)
    sizes = np.array([len(right.split()) for right, _ in rows], np.float64)
    return {
        "padded_wins": agreement.win_rate(mean[both, 1], mean[both, 0]),
        "padded_gain": _mean(mean[both, 1] - mean[both, 0]),
        "correlation": statistics.rank_correlation(mean[ok[:, 0], 0], sizes[ok[:, 0]]),
    }


def position(
    judge: judge.Judge, made: Sequence[agreement.Case], words: tokenizer.Tokenizer | None
) -> dict[str, float]:
    """Whether a snippet's place among its group's matters: scored in order and back to front.

    moved   mean change of a snippet's mean score
    flips   share of pairs right against spoilt whose order changes
    """
    names = ("right", *rubric.CRITERIA)
    rows = [tuple(case.texts[name] for name in names) for case in made]
    forth, fine = _means(judge, made, rows, words)
    back, also = _means(judge, made, [row[::-1] for row in rows], words)
    back, ok = back[:, ::-1], fine & also[:, ::-1]
    won, still = (np.sign(m[:, :1] - m[:, 1:]) for m in (forth, back))
    return {
        "moved": _mean(np.abs(forth - back)[ok]),
        "flips": _mean((won != still)[ok[:, :1] & ok[:, 1:]].astype(np.float64)),
    }


def self_preference(
    judge: judge.Judge,
    made: Sequence[agreement.Case],
    own: Sequence[str],
    words: tokenizer.Tokenizer | None,
) -> dict[str, float]:
    """Whether the judge favours snippets that its own model wrote (`own`, one a case).

    judge, reference   share of cases in which each puts the own snippet above the right one
    excess             the first less the second; above 0 it favours its own
    """
    rows = [(case.texts["right"], text) for case, text in zip(made, own, strict=True)]
    mean, ok = _means(judge, made, rows, words)
    both = ok.all(axis=1)
    truth = np.array(
        [
            [np.mean(reference.agreement(case.episode, text)) for text in row]
            for case, row in zip(made, rows, strict=True)
        ]
    )
    both &= np.isfinite(truth).all(axis=1)
    shares = [agreement.win_rate(m[both, 1], m[both, 0]) for m in (mean, truth)]
    return {"judge": shares[0], "reference": shares[1], "excess": shares[0] - shares[1]}


def _means(
    judge: judge.Judge,
    made: Sequence[agreement.Case],
    rows: Sequence[tuple[str, ...]],
    words: tokenizer.Tokenizer | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean score [n, g] of each text, and which got a verdict."""
    groups = [
        agreement.group(case.episode, row, words) for case, row in zip(made, rows, strict=True)
    ]
    scores = judge.score(groups)
    return scores.values.astype(np.float64).mean(axis=-1), ~scores.failed


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
