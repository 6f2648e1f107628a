"""What is read off a forest is what each path gives alone: values, gradients, on every mesh."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax import models
from pa_jax.core import mesh as meshes
from pa_jax.infer import forest, score
from pa_jax.models import attention, lora

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "parity"
PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14]]
COMPLETIONS = [[[1, 2, 3], [4], []], [[7, 7, 7, 7, 7]], [[3, 1], [2]]]
LENGTHS = (32, 64)
LONGEST = 32  # tokens of a path
ROWS, SLOTS, PATHS = 2, 64, 40


@pytest.fixture(scope="module")
def model():
    return models.load("random:tiny", dtype="float32")


@pytest.fixture(scope="module")
def full(model):
    """Log-softmax after every token of one sequence, all logits at once, and its hidden states."""
    return functools.partial(alone, jax.jit(dense), *dense_parts(model.module))


def dense_parts(module):
    """Graph and state of the same module with the oracle's attention."""
    graph, state = nnx.split(module)
    made = nnx.merge(graph, state)
    made.attention = "dense"
    return nnx.split(made)


def dense(graph_state, ids_nt, length_n):
    """[n, t, v] log-softmax and [n, t, d] hidden states of a sequence a row."""
    module = nnx.merge(*graph_state)
    slot = jnp.arange(ids_nt.shape[1])
    end = jnp.where(slot < length_n[:, None], length_n[:, None], slot + 1)
    hidden = module.on_rows(ids_nt, end, jnp.broadcast_to(slot, ids_nt.shape)).hidden
    return jax.nn.log_softmax(module.logits(hidden)), hidden


def alone(run, graph, state, ids):
    row = np.zeros((1, LONGEST), np.int32)
    row[0, : len(ids)] = ids
    made = run((graph, state), jnp.asarray(row), jnp.array([len(ids)]))
    return tuple(np.asarray(x)[0, : len(ids)] for x in made)


def paths_of(rng, above=(), depth=1):
    """Paths down a random tree: ragged nodes, empty ones too, equal ones, some that end inside."""
    ids = [*above, *rng.integers(0, 128, rng.integers(depth == 1, 7)).tolist()]
    for _ in range(rng.integers(0, 3)):
        cut = int(rng.integers(1, len(ids) + 1))
        yield forest.follows(ids[:cut], ids[cut:])
    if depth == 5 or rng.random() < 0.3:
        yield forest.follows(ids[:1], [*ids[1:], int(rng.integers(0, 128))])
    else:
        for _ in range(rng.integers(1, 4)):
            yield from paths_of(rng, ids, depth + 1)


def random_trees(seed):
    """At most PATHS paths that fit ROWS rows of SLOTS."""
    rng = np.random.default_rng(seed)
    trees, count = [], 0
    for _ in range(30):
        tree = [path for path in paths_of(rng) if path.targets][:15]
        rows = forest.pack([*trees, tree], (SLOTS,)).rows
        if count + len(tree) <= PATHS and len(rows) <= ROWS:
            trees, count = [*trees, tree], count + len(tree)
    return trees


def on_forest(module, rows, weight_nw, remat):
    logp, _, _ = score.row_logprobs(module, rows, jnp.float32(1.0), remat=remat)
    return jnp.sum(weight_nw * jnp.sin(logp)), logp


def on_each(module, ids_nt, length_n, token_nt, weight_nt):
    """A path a row; what each token predicts, where its weight is not 0."""
    logp_ntv, _ = dense(nnx.split(module), ids_nt, length_n)
    logp = jnp.take_along_axis(logp_ntv, token_nt[..., None], axis=-1)[..., 0]
    return jnp.sum(weight_nt * jnp.sin(logp)), logp


def sloped(graph, of, **static):
    """Compiled: (sum, log-probs), gradients by what trains."""

    def run(state, rest, *args):
        return of(nnx.merge(graph, state, rest), *args, **static)

    return jax.jit(jax.value_and_grad(run, has_aux=True))


CASES = [
    ("llama", "none"),
    ("qwen2", "full"),
    pytest.param("qwen3_untied", "dots", marks=pytest.mark.slow),
    ("qwen3_moe", "none"),
    pytest.param("llama adapters", "dots", marks=pytest.mark.slow),
    ("qwen3_moe adapters", "none"),
]


@pytest.mark.parametrize(("kind", "remat"), CASES)
def test_paths_of_random_forests_equal_each_path_alone(kind, remat, monkeypatch):
    """Log-probs to 1e-5 and gradients to 1e-4, in float32."""
    monkeypatch.setattr(attention, "BLOCK", SLOTS // 2)
    name, *adapted = kind.split()
    module = models.load(str(GOLDEN / name), dtype="float32").module
    if adapted:
        module = lora.add(module, lora.LoraConfig(rank=2, alpha=4.0), jax.random.key(1))
        for pair in module.blocks.lora.values():
            pair["b"][...] = 0.2 * jax.random.normal(jax.random.key(3), pair["b"].shape)
    graph, some, rest = nnx.split(module, nnx.LoRAParam if adapted else nnx.Param, ...)
    packed_run = sloped(graph, on_forest, remat=remat)
    alone_run = sloped(dense_parts(module)[0], on_each)
    for seed in range(3):
        trees = random_trees(seed)
        packed = forest.pack(trees, (SLOTS,))
        assert len(packed.rows) == ROWS and sum(map(len, trees)) > ROWS
        rows = forest.stacked(packed.rows, ROWS)
        weight = np.zeros((ROWS, SLOTS), np.float32)
        ids, token, of_path = (np.zeros((PATHS, LONGEST), np.int32) for _ in range(3))
        length, pairs = np.ones(PATHS, np.int32), []
        paths = [path for tree in trees for path in tree]
        places = [place for tree in packed.places for place in tree]
        for n, (path, (row, place)) in enumerate(zip(paths, places, strict=True)):
            np.add.at(weight[row], place, 1)  # equal wants of two paths are one place
            first = len(path.ids) - len(path.targets)
            ids[n, : len(path.ids)], length[n] = path.ids, len(path.ids)
            token[n, first : len(path.ids)] = path.targets
            of_path[n, first : len(path.ids)] = 1
            pairs.append((row, place, n, slice(first, len(path.ids))))
        (_, logp), slope = packed_run(some, rest, jax.tree.map(jnp.asarray, rows), weight)
        (_, want), want_slope = alone_run(
            some, rest, *map(jnp.asarray, (ids, length, token, of_path.astype(np.float32)))
        )
        for row, place, n, at in pairs:
            np.testing.assert_allclose(logp[row][place], want[n][at], rtol=1e-5, atol=1e-5)
        for a, b in zip(jax.tree.leaves(slope), jax.tree.leaves(want_slope), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4 * float(jnp.abs(b).max()))


MESHES = [
    ("llama", (8, 1, 1)),
    ("llama", (2, 4, 1)),
    ("qwen3_moe", (2, 2, 2)),
    pytest.param("qwen3_moe", (1, 2, 4), marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "sizes"), MESHES)
def test_sharded_equals_unsharded(name, sizes):
    mesh, trees = meshes.make(meshes.MeshConfig(*sizes), jax.devices()[:8]), random_trees(7)
    one = score.Scorer(models.load(str(GOLDEN / name), dtype="float32").module, lengths=(64,))
    module = models.load(str(GOLDEN / name), dtype="float32", mesh=mesh).module
    many = score.Scorer(module, mesh=mesh, lengths=(64,))
    for want, got in zip(one.logprobs(trees), many.logprobs(trees), strict=True):
        for a, b in zip(want, got, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)
    assert (one.busiest() is None) == (many.busiest() is None) == (name == "llama")


def test_logprobs_equal_the_full_softmax(model, full):
    got = score.logprobs(model, PROMPTS, COMPLETIONS, lengths=LENGTHS)
    assert [[len(x) for x in row] for row in got] == [[len(c) for c in r] for r in COMPLETIONS]
    for prompt, completions, scored in zip(PROMPTS, COMPLETIONS, got, strict=True):
        for ids, logp in zip(completions, scored, strict=True):
            assert logp.dtype == np.float32
            if ids:
                after = full([*prompt, *ids])[0][len(prompt) - 1 : -1]
                np.testing.assert_allclose(logp, after[np.arange(len(ids)), ids], atol=1e-5)


@pytest.mark.parametrize("lengths", [(32,), (64,), (32, 128)])
def test_log_probs_do_not_depend_on_how_paths_are_packed(model, lengths):
    trees = random_trees(5)
    together = score.Scorer(model.module, lengths=lengths).logprobs(trees)
    single = score.Scorer(model.module, lengths=LENGTHS)
    for tree, scored in zip(trees, together, strict=True):
        for path, logp in zip(tree, scored, strict=True):
            np.testing.assert_allclose(logp, single.logprobs([[path]])[0][0], atol=1e-5)


def test_temperature_divides_the_logits(model, full):
    trees = [[forest.follows(PROMPTS[0], [4, 9])]]
    got = score.Scorer(model.module, lengths=LENGTHS).logprobs(trees, temperature=2.0)[0][0]
    warm = full([*PROMPTS[0], 4])[0][len(PROMPTS[0]) - 1 :].astype(np.float64) / 2
    warm -= np.log(np.exp(warm).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(got, warm[[0, 1], [4, 9]], atol=1e-5)


def test_labels_and_states_are_those_after_each_path(model, full):
    label = [40, 41, 300]
    paths = [[*PROMPTS[0], *more] for more in ([], [3], [3, 4, 5], [9])]
    trees = [[forest.state_of(ids) for ids in paths], [forest.state_of(PROMPTS[1])]]
    scorer = score.Scorer(model.module, lengths=LENGTHS)
    labels, states = scorer.labels(trees, label), scorer.states(trees)
    for tree, of_labels, of_states in zip(trees, labels, states, strict=True):
        for path, labelled, state in zip(tree, of_labels, of_states, strict=True):
            logp, hidden = full(path.ids)
            np.testing.assert_allclose(labelled, logp[-1, label], atol=1e-5)
            np.testing.assert_allclose(state, hidden.mean(axis=0), atol=1e-5)


def test_an_update_is_scored_under_at_once(model):
    trees = [[forest.follows(PROMPTS[0], [4, 9])]]
    scorer = score.Scorer(model.module, lengths=LENGTHS)
    before = scorer.logprobs(trees)[0][0]
    scorer.update(jax.tree.map(lambda x: -x, scorer.state))
    assert np.abs(scorer.logprobs(trees)[0][0] - before).max() > 1e-2
    again = score.logprobs(model, PROMPTS[:1], [[[4, 9]]])[0][0]  # in a row of another length
    np.testing.assert_allclose(again, before, rtol=1e-5)


def test_fill_is_the_share_of_real_slots(model):
    scorer = score.Scorer(model.module, lengths=(32,))
    assert scorer.fill() == 0
    scorer.logprobs([[forest.state_of(range(24))], [forest.state_of(range(100, 108))]])
    assert scorer.fill() == 1 and scorer.slots == 32
    scorer.logprobs([[forest.state_of(range(8))]])
    assert scorer.fill() == (24 + 8 + 8) / 64


def test_the_busiest_expert_is_counted_since_the_last_call():
    scorer = score.Scorer(models.load(str(GOLDEN / "qwen3_moe"), dtype="float32").module)
    assert scorer.busiest() is None
    scorer.logprobs([[forest.state_of(range(60))]])
    assert 1 <= scorer.busiest() <= 8 and scorer.busiest() is None


def test_warmed_up_rows_compile_nothing_more(model):
    scorer = score.Scorer(model.module, lengths=(16, 32, 64))
    scorer.warm_up(20, label=[1, 2, 3, 4])
    made = score.labelled._cache_size()
    for length in (1, 16, 17, 32):
        scorer.labels([[forest.state_of(range(length))]], [4, 3, 2, 1])
    assert score.labelled._cache_size() == made
    scorer.labels([[forest.state_of(range(33))]], [4, 3, 2, 1])
    assert score.labelled._cache_size() == made + 1


def test_nothing_to_score_gives_nothing(model):
    got = score.logprobs(model, PROMPTS, [[], [[7]], [[]]], lengths=LENGTHS)
    assert [[len(logp) for logp in row] for row in got] == [[], [1], [0]]
    assert score.logprobs(model, [], []) == []


def test_an_empty_prompt_is_refused(model):
    with pytest.raises(ValueError, match="empty context"):
        score.logprobs(model, [[1], []], [[[2]], [[3]]])


def test_a_path_past_the_largest_row_names_the_limit_and_the_key(model):
    scorer = score.Scorer(model.module, lengths=(64, 32), key="judge.lengths")
    with pytest.raises(ValueError, match=r"judge.lengths.* of 65 tokens, at most 64"):
        scorer.logprobs([[forest.state_of(range(65))]])
