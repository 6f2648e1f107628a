"""Stretched RoPE: transformers' logits below and beyond the original length; what is refused."""

import json
import pathlib

import jax
import numpy as np
import pytest
import transformers
from safetensors.numpy import load_file

from pa_jax import models
from pa_jax.models import config, rope
from tests.models import test_parity as parity

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "rope"
ORIGINAL = 32  # positions, as the configs say
NAMES = ("linear", "llama3", "yarn", "yarn_every_key")


def read(name: str) -> dict:
    return json.loads((GOLDEN / name / "config.json").read_text())


def as_four(hf: dict) -> dict:
    """The same config.json as transformers 4.57 writes it."""
    rotary = dict(hf.pop("rope_parameters"))
    return hf | {"rope_theta": rotary.pop("rope_theta"), "rope_scaling": rotary}


def as_added(hf: dict) -> dict:
    """A newer folder of plain RoPE to which somebody added `rope_scaling`, as Qwen's page says."""
    hf = as_four(hf)
    return hf | {"rope_parameters": {"rope_type": "default", "rope_theta": hf["rope_theta"]}}


def compare(model: models.LoadedModel, name: str, want: np.ndarray | None = None) -> None:
    expected = load_file(GOLDEN / name / "expected.st")
    assert min(expected["lengths"]) < ORIGINAL < max(expected["lengths"])
    ours = parity.our_logits(model, expected["ids"], expected["lengths"], "blocks")
    parity.compare(ours, expected["logits"] if want is None else want, expected["lengths"])


@pytest.mark.parametrize("name", NAMES)
def test_recorded_logits(name):
    compare(models.load(str(GOLDEN / name), dtype="float32"), name)


@pytest.mark.parametrize("spelling", [as_four, as_added])
@pytest.mark.parametrize("name", NAMES)
def test_every_spelling_is_the_same_model(name, spelling):
    assert config.from_hf(spelling(read(name))) == config.from_hf(read(name))
    assert config.from_hf(read(name)).rope_scaling is not None


@pytest.mark.parametrize("name", NAMES)
def test_what_we_save_is_read_again_and_by_transformers(name, tmp_path):
    model = models.load(str(GOLDEN / name), dtype="float32")
    models.save_hf(model, tmp_path)
    assert models.load(str(tmp_path), dtype="float32").module.cfg == model.module.cfg
    torch = pytest.importorskip("torch", reason="torch is not installed: no live comparison")
    expected = load_file(GOLDEN / name / "expected.st")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    mask = np.arange(expected["ids"].shape[1]) < expected["lengths"][:, None]
    with torch.no_grad():
        out = theirs(torch.tensor(expected["ids"]), torch.tensor(mask).long()).logits.numpy()
    parity.compare(out, expected["logits"], expected["lengths"])
    compare(model, name, out)


def test_frequencies_by_the_papers_own_words():
    """Each pair of dimensions on its own, in float64."""
    yarn = rope.Scaling("yarn", 4.0, 32768, attention_factor=1.1)
    llama = rope.Scaling("llama3", 8.0, 8192, low_freq_factor=1.0, high_freq_factor=4.0)
    for scaling, theta in ((yarn, 1e6), (llama, 5e5)):
        got, times = jax.jit(rope.frequencies, static_argnums=(0, 1, 2))(128, theta, scaling)
        for i in range(64):
            plain = theta ** (-2 * i / 128)
            turns = scaling.original * plain / (2 * np.pi)
            if scaling is llama:
                kept = min(max((turns - 1) / (4 - 1), 0), 1)
            else:
                first, last = (
                    128 * np.log(32768 / (turn * 2 * np.pi)) / (2 * np.log(theta))
                    for turn in (32, 1)
                )
                first, last = np.floor(first), np.ceil(last)
                kept = 1 - min(max((i - first) / (last - first), 0), 1)
            want = plain * kept + plain / scaling.factor * (1 - kept)
            np.testing.assert_allclose(got[i], want, rtol=1e-5)
        assert float(times) == pytest.approx(scaling.attention_factor)
    assert rope.from_hf(as_four(read("yarn")))[1].attention_factor == pytest.approx(1.1386294)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rope_type": "dynamic", "factor": 2.0}, "rope type 'dynamic' is not supported"),
        ({"type": "mrope", "mrope_section": [2, 2]}, "rope type 'mrope' is not supported"),
        ({"rope_type": "llama3", "factor": 8.0}, r"no \['low_freq_factor', 'high_freq_factor'\]"),
        ({"full_attention": {"rope_type": "default"}}, "by kind of layer"),
        ({"rope_type": "default", "partial_rotary_factor": 0.5}, "partial_rotary_factor=0.5"),
    ],
)
def test_other_kinds_are_refused_by_name(changed, message):
    with pytest.raises(ValueError, match=message):
        config.from_hf(read("yarn") | {"rope_scaling": changed})


def test_layers_with_a_window_are_refused_by_number():
    hf = read("yarn") | {"use_sliding_window": True, "sliding_window": 16}
    windows = ["full_attention", "sliding_attention"]
    with pytest.raises(ValueError, match=r"layers 1 \(sliding_attention\) of 2 .*window=16"):
        config.from_hf(hf | {"layer_types": windows})
    old = {k: v for k, v in hf.items() if k != "layer_types"}  # before transformers 4.53
    with pytest.raises(ValueError, match=r"layers 0 \(sliding_attention\), 1 "):
        config.from_hf(old | {"max_window_layers": 0})
    plain = config.from_hf(read("yarn"))
    assert config.from_hf(old | {"max_window_layers": 2}) == plain  # no layer is behind it
    assert config.from_hf(hf | {"layer_types": windows, "sliding_window": 128}) == plain
