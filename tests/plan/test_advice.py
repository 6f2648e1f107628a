"""Which knob is named for what is too large."""

from pa_jax.core import mesh as meshes
from pa_jax.plan import advice

MESH = meshes.MeshConfig(4, 4, 1)
NUMBERS = {"prompts": 16}


def test_the_largest_part_comes_first_with_a_value_to_set():
    sizes = {"update": 9e9, "sampler": 8e9, "kv": 1e9}
    got = advice.knobs(sizes, 6e9, MESH, NUMBERS)
    assert got[0] == "update takes 9.00 GB: shorter rows in --config.lengths"
    assert any("--config.mesh.tp=8" in text for text in got)
    assert not any("kv" in text for text in got)  # halving the two is enough


def test_a_knob_at_its_end_is_not_named():
    got = advice.knobs({"rollout decode": 9e9, "kv": 4e9}, 6e9, MESH, {"prompts": 1})
    assert got == ["kv takes 4.00 GB: shorter --config.rollout.prompt_tokens"]
