"""Slots of statements: by words alone with tiny weights, and the model's part path by path."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax import models
from pa_jax.agent.inference import placing
from pa_jax.data.synth import truth
from pa_jax.infer import score
from pa_jax.profile import taxonomy

CFG = placing.PlaceConfig(lexical=20.0, sure=0.2, categories=2, least=5.0)


@pytest.fixture(scope="module")
def tiny():
    return models.load("random:tiny", dtype="float32")


@pytest.fixture(scope="module")
def placer(tiny):
    return placing.Placer(tiny.tokenizer, score.Scorer(tiny.module), CFG)


def test_taxonomy_statements_land_in_their_slots_by_their_words(placer):
    cases = [
        (truth.statement(slot, slot.values[1], truth.LIKE), slot.path)
        for slot in taxonomy.Taxonomy.load().subcategories[::5]
    ]
    shares = np.array([placer.index.shares(text) for text, _ in cases])
    assert (shares >= 0).all() and (shares <= 1 + 1e-9).all()
    best = [placer.slots[k].path for k in shares.argmax(axis=1)]
    assert np.mean([a == b for a, (_, b) in zip(best, cases, strict=True)]) > 0.95


def test_a_statement_of_no_slot_goes_to_other_with_a_label(placer):
    strict = placing.Placer(
        placer.words, placer.scorer, placing.PlaceConfig(20.0, 0.0, 1, least=5.0)
    )
    (found,) = strict.place(["The user adores a zeppelin hangar."])
    assert found.slot == "other/zeppelin_hangar" and found.score < 5.0
    (spicy,) = strict.place(["The user prefers the hottest dish on the menu when eating out."])
    assert spicy.slot == "food/spice_level" and spicy.margin > 0


@nnx.jit
def plain(module, ids):
    """Logits of one plain sequence."""
    slot = jnp.arange(256)[None]
    return module.logits(module.on_rows(ids, jnp.full_like(slot, 256), slot).hidden)[0]


def path_logprob(model, before, ids):
    """Log-prob of ids after a context, as one plain sequence."""
    whole = [*before, *ids]
    logits = plain(model.module, jnp.asarray([whole + [5] * (256 - len(whole))]))
    logits = np.asarray(logits, np.float64)
    logp = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return sum(logp[len(before) + k - 1, token] for k, token in enumerate(ids))


def test_the_models_part_is_the_gain_of_the_label_over_an_empty_statement(tiny):
    words = tiny.tokenizer
    always = placing.PlaceConfig(lexical=20.0, sure=2.0, categories=2, least=5.0)
    asking = placing.Placer(words, score.Scorer(tiny.module), always)
    text = "The user likes trains."
    _, asked = asking.scores([text])

    def gain(label):
        leaf = words.encode(f" {label}\n")
        after, bare = (
            path_logprob(
                tiny, words.encode(placing.TRUNK) + words.encode(f'Note: "{s}') + end, leaf
            )
            for s in (text, "")
        )
        return after - bare

    end = words.encode('"\nHeading:')
    categories = taxonomy.Taxonomy.load().categories
    paths = [slot.path for slot in asking.slots]
    gains = {category.id: gain(category.name) for category in categories}
    inside = {path.split("/")[0] for path, x in zip(paths, asked[0], strict=True) if x > -np.inf}
    shared = dict.fromkeys(gains, 0.0)
    for path, value in zip(paths, 20.0 * asking.index.shares(text), strict=True):
        shared[path.split("/")[0]] = max(shared[path.split("/")[0]], value)
    assert inside == set(sorted(gains, key=lambda name: gains[name] + shared[name])[-2:])
    compared = [category for category in categories if category.id in inside]
    for category in compared:
        for slot in category.subcategories[:2]:
            found = asked[0, paths.index(slot.path)]
            assert found == pytest.approx(gains[category.id] + gain(slot.name), abs=1e-3)


def test_a_sure_statement_is_not_put_to_the_model(placer):
    text = "The user prefers the hottest dish on the menu when eating out."
    total, asked = placer.scores([text])
    assert (asked == 0).all() and total.max() == pytest.approx(
        20.0 * placer.index.shares(text).max()
    )
    assert placer.scores([])[0].shape == (0, len(placer.slots))
