"""Where the thresholds of inferencer and placer come from: statements whose truth is known.

Grounding: statements that the turn shows (gold, and the same in other words) against ones that it
does not: another user's, and another value of the same slot (a plausible invention). Placing: how
often a statement of a known slot lands there, and whether one of no slot goes to `other`:

  gold            held-out synthetic gold; its words are the taxonomy's own
  reworded        the same in other words
  unseen value    the same, placed by a taxonomy without these values
  unseen example  an example statement of each slot, placed by a taxonomy without it

each once more with its own slot taken away, which leaves a statement of no slot.
"""

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import tqdm

from pa_jax.agent.inference import inferencer, placing
from pa_jax.core.typing import Float, Int
from pa_jax.data.synth import truth
from pa_jax.data.synth import users as synth_users
from pa_jax.dialogue import schema, snippet
from pa_jax.evaluate.judges import agreement, rewording
from pa_jax.profile import taxonomy

LOSS = 0.05  # share of right statements that a grounding threshold may drop
LEASTS = (4.0, 8.0, 10.0, 12.0, 16.0, 20.0)  # nats
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
    gold = rewording.statements(episode.wanted)[0]
    other = rng.choice([e for e in telling if e.user_id != episode.user_id] or telling)
    made = {
        "gold": gold,
        "reworded": rewording.right(gold, rng),
        "other user's": rewording.statements(rewording.right(other.wanted, rng))[0],
    }
    if episode.slot:
        slot = taxonomy.Taxonomy.load().get(episode.slot)
        unsaid = [value for value in slot.values if value.lower() not in gold.lower()]
        if unsaid:
            wording = truth.variants(slot.path, rng.choice(unsaid), truth.LIKE)
            made["invented value"] = rng.choice(wording)
    return made


# placing


def place(placer: placing.Placer, count: int, *, seed: int) -> dict[str, Any]:
    """Top-1 accuracy by words and as it runs; how well `other` is told apart."""
    content = taxonomy.Taxonomy.load()
    rng = random.Random(f"placing/{seed}")
    facts = [fact for user in range(count) for fact in synth_users.facts(seed, user, "heldout")]
    golds = [(fact.line, fact.slot) for fact in rng.sample(facts, min(count, len(facts)))]
    slots = rng.sample(content.subcategories, min(count, len(content.subcategories)))
    examples = [(slot.examples[-1], slot.path) for slot in slots]
    blind = placing.Placer(placer.words, placer.scorer, placer.cfg, _unseen(content))
    reworded = [(rewording.right(text, rng), path) for text, path in golds]
    return {
        "gold": _placed(placer, golds),
        "reworded": _placed(placer, reworded),
        "unseen value": _placed(blind, golds),
        "unseen example": _placed(blind, examples),
    }


def _unseen(content: taxonomy.Taxonomy) -> taxonomy.Taxonomy:
    """The taxonomy without held-out users' values, and without each slot's last example."""
    held_out = truth.values_of("heldout")

    def slot(old: taxonomy.Subcategory) -> taxonomy.Subcategory:
        values = tuple(v for v in old.values if v not in held_out.get(old.path, ()))
        return dataclasses.replace(old, values=values, examples=old.examples[:-1])

    return dataclasses.replace(
        content,
        categories=tuple(
            dataclasses.replace(
                category, subcategories=tuple(slot(s) for s in category.subcategories)
            )
            for category in content.categories
        ),
    )


def _placed(placer: placing.Placer, labelled: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Figures of statements and their slots: of all, and of those put to the model."""
    paths = [slot.path for slot in placer.slots]
    words, asked = (np.zeros((0, len(paths))) for _ in range(2))
    for start in tqdm.trange(0, len(labelled), CHUNK, unit="batch", desc="placing"):
        both = placer.scores([text for text, _ in labelled[start : start + CHUNK]])
        words, asked = (np.concatenate(x) for x in zip((words, asked), both, strict=True))
    own = np.array([paths.index(path) for _, path in labelled])
    total = words + asked
    homeless = total.copy()
    homeless[np.arange(len(own)), own] = -np.inf
    there, gone = total.max(axis=1), homeless.max(axis=1)
    doubtful = (asked != 0).any(axis=1)
    return {
        "statements": len(labelled),
        "model_asked": float(doubtful.mean()),
        "words": _accuracy(words, own, paths),
        "as it runs": _accuracy(total, own, paths),
        "asked, by words": _accuracy(words[doubtful], own[doubtful], paths),
        "asked, by the model": _accuracy(asked[doubtful], own[doubtful], paths),
        "asked, by both": _accuracy(total[doubtful], own[doubtful], paths),
        "auc of a slot against none": agreement.auc(there, gone),
        "under_least": {
            str(x): [float((there < x).mean()), float((gone < x).mean())]
            for x in sorted({placer.cfg.least, *LEASTS})
        },
    }


def _accuracy(
    scores: Float[np.ndarray, "n s"], own: Int[np.ndarray, " n"], paths: Sequence[str]
) -> dict[str, float | None]:
    """Shares of statements whose best slot is their own, or of their category."""
    if not len(scores):
        return {"slot": None, "category": None}
    category = np.array([path.partition("/")[0] for path in paths])
    best = scores.argmax(axis=1)
    return {
        "slot": float((best == own).mean()),
        "category": float((category[best] == category[own]).mean()),
    }
