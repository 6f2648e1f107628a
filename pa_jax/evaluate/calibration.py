"""Where the thresholds of inferencer and placer come from: statements whose truth is known.

Grounding: statements that the turn shows (gold, and the same in other words) against ones that it
does not: another user's, and another value of the same slot (a plausible invention). Placing: how
often a statement of a known slot lands there, and whether one of no slot goes to `other`:

  gold            held-out synthetic gold; its words are the taxonomy's own
  unseen value    the same, placed by a taxonomy without these values
  unseen example  an example statement of each slot, by a taxonomy without it
  outside         the same statements of every fifth slot, by a taxonomy without these slots
"""

import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tqdm

from pa_jax.agent import inferencer, placing
from pa_jax.core.typing import Float
from pa_jax.data import synth, synth_truth
from pa_jax.dialogue import schema, snippet
from pa_jax.judge import agreement, rewording
from pa_jax.profile import taxonomy

LOSS = 0.05  # share of right statements that a grounding threshold may drop
OUTSIDE_EVERY = 5
GRID = tuple(round(0.05 * k, 2) for k in range(41))  # nats a token
CHUNK = 32


# grounding


def grounding(
    agent: inferencer.Inferencer, episodes: Sequence[schema.Episode], count: int, *, seed: int
) -> dict[str, Any]:
    """AUC of right against invented statements, and the losses of thresholds."""
    rng = random.Random(f"grounding/{seed}")
    telling = [e for e in episodes if e.gold not in (None, snippet.NOTHING)]
    chosen = rng.sample(telling, min(count, len(telling)))
    made = [_statements(episode, telling, rng) for episode in chosen]
    names = sorted({name for texts in made for name in texts})
    found: dict[str, list[float]] = {name: [] for name in names}
    kinds: dict[str, list[float]] = {}
    for start in tqdm.trange(0, len(chosen), CHUNK, unit="batch", desc="grounding"):
        part = slice(start, start + CHUNK)
        gains = agent.grounder.gains(chosen[part], [list(texts.values()) for texts in made[part]])
        for episode, texts, row in zip(chosen[part], made[part], gains, strict=True):
            for name, gain in zip(texts, row, strict=True):
                found[name].append(gain)
            kinds.setdefault(episode.kind or "any", []).append(row[0])
    values = {name: np.array(gains) for name, gains in found.items()}
    right = np.concatenate([values["gold"], values["reworded"]])
    wrong = {name: x for name, x in values.items() if name not in ("gold", "reworded")}
    dropped = [float((right < level).mean()) for level in GRID]
    level = max(x for x, lost in zip(GRID, dropped, strict=True) if lost <= LOSS)
    return {
        "episodes": len(chosen),
        "mean_nats": {name: round(float(x.mean()), 3) for name, x in values.items()},
        "mean_nats_of_gold": {name: round(float(np.mean(x)), 3) for name, x in kinds.items()},
        "auc": {name: agreement.auc(right, x) for name, x in wrong.items()},
        "threshold": level,
        "right_dropped": float((right < level).mean()),
        "wrong_dropped": {name: float((x < level).mean()) for name, x in wrong.items()},
        "by_threshold": {
            str(x): [float((right < x).mean())] + [float((w < x).mean()) for w in wrong.values()]
            for x in GRID[::4]
        },
    }


def _statements(
    episode: schema.Episode, telling: Sequence[schema.Episode], rng: random.Random
) -> dict[str, str]:
    """One right statement in two wordings, and the wrong ones that can be made."""
    gold = rewording.statements(episode.gold)[0]
    other = rng.choice([e for e in telling if e.user_id != episode.user_id] or telling)
    made = {
        "gold": gold,
        "reworded": rewording.right(gold, rng),
        "other user's": rewording.statements(rewording.right(other.gold, rng))[0],
    }
    if episode.slot:
        slot = taxonomy.Taxonomy.load().get(episode.slot)
        unsaid = [value for value in slot.values if value.lower() not in gold.lower()]
        if unsaid:
            wording = synth_truth.variants(slot.path, rng.choice(unsaid), synth_truth.LIKE)
            made["invented value"] = rng.choice(wording)
    return made


# placing


def place(placer: placing.Placer, count: int, *, seed: int) -> dict[str, Any]:
    """Top-1 accuracy by words, by the model and by both; how well `other` is told apart."""
    content = taxonomy.Taxonomy.load()
    rng = random.Random(f"placing/{seed}")
    facts = [fact for user in range(count) for fact in synth.facts(seed, user, "heldout")]
    golds = [
        (synth_truth.statement(content.get(f.slot), f.value, f.polarity), f.slot)
        for f in rng.sample(facts, min(count, len(facts)))
    ]
    slots = rng.sample(content.subcategories, min(count, len(content.subcategories)))
    examples = [(slot.examples[-1], slot.path) for slot in slots]
    held_out = synth_truth.values_of("heldout")
    gone = {slot.path for slot in content.subcategories[::OUTSIDE_EVERY]}
    sets = {
        "gold": (content, golds),
        "unseen value": (_without(content, lambda s: (held_out.get(s.path, ()), ())), golds),
        "unseen example": (_without(content, lambda s: ((), s.examples[-1:])), examples),
    }
    cut = _without(content, lambda s: ((), s.examples[-1:]), gone)
    outside = [(text, path) for text, path in examples if path in gone]
    figures: dict[str, Any] = {}
    tops: dict[str, np.ndarray] = {}
    always = dataclasses.replace(placer.cfg, sure=2.0)
    for name, (part, labelled) in sets.items():
        own = placing.Placer(placer.words, placer.model, always, part)
        figures[name], tops[name] = _accuracy(own, labelled, placer.cfg)
    own = placing.Placer(placer.words, placer.model, always, cut)
    _, tops["outside"] = _accuracy(own, outside, placer.cfg)
    figures["outside"] = _apart(tops, placer.cfg)
    return figures


def _without(
    content: taxonomy.Taxonomy,
    left_out: Callable[[taxonomy.Subcategory], tuple[Sequence[str], Sequence[str]]],
    paths: frozenset[str] | set[str] = frozenset(),
) -> taxonomy.Taxonomy:
    """The taxonomy without some values and examples of its slots, and without some slots."""

    def slot(old: taxonomy.Subcategory) -> taxonomy.Subcategory:
        values, examples = left_out(old)
        return dataclasses.replace(
            old,
            values=tuple(value for value in old.values if value not in values),
            examples=tuple(example for example in old.examples if example not in examples),
        )

    return dataclasses.replace(
        content,
        categories=tuple(
            dataclasses.replace(
                category,
                subcategories=tuple(slot(s) for s in category.subcategories if s.path not in paths),
            )
            for category in content.categories
        ),
    )


def _accuracy(
    placer: placing.Placer, labelled: Sequence[tuple[str, str]], cfg: placing.PlaceConfig
) -> tuple[dict[str, Any], Float[np.ndarray, "n 3"]]:
    """Figures, and of every statement: best share of words, its lead, best sum of nats."""
    paths = [slot.path for slot in placer.slots]
    words, asked = (np.zeros((0, len(paths))) for _ in range(2))
    for start in tqdm.trange(0, len(labelled), CHUNK, unit="batch", desc="placing"):
        both = placer.scores([text for text, _ in labelled[start : start + CHUNK]])
        words, asked = (np.concatenate(x) for x in zip((words, asked), both, strict=True))
    shares = np.sort(words / placer.cfg.lexical, axis=1)
    lead = shares[:, -1] - shares[:, -2]
    sure = lead >= cfg.sure
    ways = {"words": words, "model": asked, "both": words + asked}
    ways["as it runs"] = np.where(sure[:, None], words, words + asked)
    made: dict[str, Any] = {"statements": len(labelled), "model_asked": float(1 - sure.mean())}
    for name, scores in ways.items():
        best = [paths[k] for k in scores.argmax(axis=1)]
        made[name] = {
            "slot": float(np.mean([a == b for a, (_, b) in zip(best, labelled, strict=True)])),
            "category": float(
                np.mean(
                    [
                        a.split("/")[0] == b.split("/")[0]
                        for a, (_, b) in zip(best, labelled, strict=True)
                    ]
                )
            ),
        }
    return made, np.stack([shares[:, -1], lead, ways["as it runs"].max(axis=1)], axis=1)


def _apart(tops: dict[str, np.ndarray], cfg: placing.PlaceConfig) -> dict[str, Any]:
    """How the best share of words, its lead and the sum tell statements of no slot from others."""
    outside = tops["outside"]
    made: dict[str, Any] = {"statements": len(outside)}
    for name in ("gold", "unseen value", "unseen example"):
        made[f"auc against {name}"] = {
            what: agreement.auc(tops[name][:, k], outside[:, k])
            for k, what in enumerate(("words", "lead", "sum"))
        }
    made["least"] = cfg.least
    made["sent_to_other"] = {
        name: float((top[:, 2] < cfg.least).mean()) for name, top in tops.items()
    }
    grid = [2.0 * k for k in range(16)]
    made["by_least"] = {
        str(x): {name: float((top[:, 2] < x).mean()) for name, top in tops.items()} for x in grid
    }
    return made
