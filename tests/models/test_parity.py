"""Our logits against transformers': recorded ones always, live ones where torch is installed."""

import json
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest
import transformers
from safetensors.numpy import load_file

from pa_jax import models
from pa_jax.dialogue import schema, template
from pa_jax.models import attention

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "parity"
NAMES = sorted(path.name for path in GOLDEN.iterdir())
TOLERANCE = 2e-4  # max abs difference of float32 logits


def our_logits(model: models.LoadedModel, ids, lengths, impl: str) -> np.ndarray:
    model.module.attention = impl
    slot, length = np.broadcast_to(np.arange(ids.shape[1]), ids.shape), lengths[:, None]
    rows = ids, np.where(slot < length, length, slot + 1), slot
    hidden = model.module.on_rows(*(jnp.asarray(x, jnp.int32) for x in rows)).hidden
    return np.asarray(model.module.logits(hidden))


def compare(ours: np.ndarray, theirs: np.ndarray, lengths) -> None:
    """Every real position of every row."""
    assert ours.shape == theirs.shape and theirs.std() > 0.1
    for row, length in enumerate(lengths):
        worst = np.abs(ours[row, :length] - theirs[row, :length]).max()
        assert worst <= TOLERANCE, f"row {row}: {worst}"


def test_every_family_is_recorded_tied_and_untied():
    shapes = [json.loads((GOLDEN / name / "config.json").read_text()) for name in NAMES]
    found = {(shape["model_type"], shape["tie_word_embeddings"]) for shape in shapes}
    families = ("llama", "qwen2", "qwen3", "qwen3_moe")
    assert found == {(family, tied) for family in families for tied in (True, False)}


@pytest.mark.parametrize("impl", sorted(set(attention.IMPLEMENTATIONS) - {"pallas"}))
@pytest.mark.parametrize("name", NAMES)
def test_recorded_logits(name: str, impl: str):
    expected = load_file(GOLDEN / name / "expected.st")
    model = models.load(str(GOLDEN / name), dtype="float32")
    ours = our_logits(model, expected["ids"], expected["lengths"], impl)
    compare(ours, expected["logits"], expected["lengths"])


@pytest.mark.parametrize("name", NAMES)
def test_transformers_reads_what_we_save(name: str, tmp_path):
    """Live: our folder in transformers gives the recorded model's logits, and ours."""
    torch = pytest.importorskip("torch", reason="torch is not installed: no live comparison")

    expected = load_file(GOLDEN / name / "expected.st")
    model = models.load(str(GOLDEN / name), dtype="float32")
    models.save_hf(model, tmp_path)
    theirs, report = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, dtype=torch.float32, output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    ids, lengths = expected["ids"], expected["lengths"]
    mask = (np.arange(ids.shape[1])[None] < lengths[:, None]).astype(np.int64)
    with torch.no_grad():
        out = theirs(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask))
    compare(out.logits.numpy(), expected["logits"], lengths)
    compare(our_logits(model, ids, lengths, "blocks"), out.logits.numpy(), lengths)


def test_transformers_reads_our_tokenizer_template_and_generation_config(tmp_path):
    model = models.load("random:tiny", dtype="float32")
    models.save_hf(model, tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    chat = [schema.Message("system", "Be brief."), schema.Message("user", "Hällo, 2 x 3?")]
    ids = theirs.apply_chat_template(
        [{"role": m.role, "content": m.content} for m in chat],
        add_generation_prompt=True,
        return_dict=False,
    )
    assert ids == template.encode_chat(model.tokenizer, chat, add_generation_prompt=True)
    generation = json.loads((tmp_path / "generation_config.json").read_text())
    assert (generation["eos_token_id"],) == model.tokenizer.eos_ids == (theirs.eos_token_id,)
