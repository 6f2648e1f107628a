"""Candidates before any compile."""

import pytest

from configs import plan as plan_config
from pa_jax.jobs import plan, setup
from pa_jax.plan import search, topology


def setting(preset, slice_name):
    config = plan_config.get_config(preset)
    slice_ = topology.named(slice_name)
    config.slice = slice_name
    return config, slice_, plan.make_request(config, slice_)


def test_meshes_use_all_chips_and_divide_heads_and_experts():
    _, slice_, asked = setting("qwen3-4b", "v5e-16")
    found = search.shapes(slice_.chips, asked.work)
    assert {(m.fsdp, m.tp, m.ep) for m in found} >= {(16, 1, 1), (4, 4, 1), (1, 4, 4), (1, 1, 16)}
    for mesh in found:
        assert mesh.fsdp * mesh.tp * mesh.ep == 16
        assert asked.work.policy.kv_heads % mesh.tp == 0 == asked.work.judge.experts % mesh.ep


def test_candidates_that_cannot_fit_are_not_compiled():
    config, slice_, asked = setting("qwen3-4b", "v5e-16")
    config.search_over = {"prompts": (16,), "prompt": (1024,), "length": (6144,), "compile": 2}
    cfg = setup.section(search.SearchConfig, config.search_over)
    found = search.candidates(asked.work, slice_, cfg, 15e9)
    assert (1, 4, 4) in {(one.mesh.fsdp, one.mesh.tp, one.mesh.ep) for one in found}
    # the sampler's 8 GB are cut over tp only, and the judge's experts over ep x tp
    assert all(one.mesh.tp > 1 for one in found)
    assert [one.rate for one in found] == sorted((one.rate for one in found), reverse=True)
    assert search.candidates(asked.work, slice_, cfg, 1e9) == []
    with pytest.raises(ValueError, match="search: no mesh, batch and row length of qwen3-4b"):
        plan.searched(config, slice_, asked, 1e9)


def test_the_config_itself_is_compiled_too_and_each_mesh_before_a_second_of_one():
    config, slice_, asked = setting("qwen3-4b", "v5e-16")
    config.search_over = {"prompts": (16, 32), "prompt": (512,), "length": (6144,), "compile": 3}
    made = plan.searched(config, slice_, asked, 15e9)
    assert made[1] == asked and made[0] != asked
    cfg = setup.section(search.SearchConfig, config.search_over)
    meshes = [one.mesh for one in search.spread(search.candidates(asked.work, slice_, cfg, 15e9))]
    firsts = len(set(meshes))
    assert len(set(meshes[:firsts])) == firsts


def test_the_guess_of_bytes_is_near_what_the_compiler_found():
    """14.20 GB for the preset, as a lone call of rows of 6144."""
    _, slice_, asked = setting("qwen3-4b", "v5e-16")
    cfg = search.SearchConfig(prompts=(16,), prompt=(1024,), length=(4096, 6144), compile=1)
    found = search.candidates(asked.work, slice_, cfg, 1e12)
    guess = {(one.mesh.tp, one.mesh.ep, max(one.work.lengths)): one for one in found}
    assert guess[4, 4, 6144].bytes == pytest.approx(14.2e9, rel=0.05)
    # Rows of 4096 take two calls: a sum of gradients beside them.
    assert guess[4, 4, 4096].bytes > guess[4, 4, 6144].bytes
