"""An exported folder is read by transformers 4 and 5, and so are folders that either wrote."""

import json
import os
import subprocess
import sys

import pytest

from pa_jax import models
from pa_jax.dialogue import tokenizer
from pa_jax.models.io import folder

FOUR = ("transformers==4.57.6", "tokenizers==0.22.1", "huggingface_hub==0.36.2")
READ = """
import json, sys, transformers
one = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
config = transformers.AutoConfig.from_pretrained(sys.argv[1])
chat = one.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
print(json.dumps([transformers.__version__, one.encode("a<|im_end|><|tool|>"), chat,
    sorted(one.all_special_tokens), config.model_type, one.eos_token_id]))
"""


@pytest.fixture
def exported(tmp_path):
    """A saved model whose tokenizer has special tokens beside the named ones."""
    model = models.load("random:tiny", dtype="float32")
    hf = model.tokenizer.hf
    hf.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|tool|>"]})
    models.save_hf(model, tmp_path / "hf")
    return tmp_path / "hf", hf


def test_special_tokens_stand_where_both_versions_look(exported):
    where, hf = exported
    named = json.loads((where / "tokenizer_config.json").read_text())
    assert "extra_special_tokens" not in named
    assert named["additional_special_tokens"] == ["<|im_start|>", "<|tool|>"]
    again = folder.read_tokenizer(where)
    assert again.all_special_tokens == hf.all_special_tokens and "<|tool|>" in hf.all_special_tokens


@pytest.mark.parametrize("key", ["additional_special_tokens", "extra_special_tokens"])
def test_folders_of_either_version_are_read(exported, key):
    where, hf = exported
    path = where / "tokenizer_config.json"
    named = json.loads(path.read_text())
    named[key] = named.pop("additional_special_tokens")
    path.write_text(json.dumps(named))
    words = tokenizer.Tokenizer(folder.read_tokenizer(where))
    assert words.added == hf.get_added_vocab()
    assert words.decode([*words.encode("x"), words.added["<|tool|>"]]) == "x"


@pytest.mark.slow  # installs another transformers: a minute with the network
def test_transformers_4_reads_what_5_does(exported, tmp_path):
    where, _ = exported
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target"]
    done = subprocess.run([*install, tmp_path / "four", *FOUR], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"transformers 4 cannot be had: {done.stderr[-200:]}")
    seen = []
    for path in (str(tmp_path / "four"), ""):
        env = os.environ | {"PYTHONPATH": path}
        run = subprocess.run(
            [sys.executable, "-c", READ, where], capture_output=True, text=True, env=env
        )
        assert not run.returncode, run.stderr[-2000:]
        seen.append(json.loads(run.stdout.strip().splitlines()[-1]))
    assert [one[0].partition(".")[0] for one in seen] == ["4", "5"]
    assert seen[0][1:] == seen[1][1:]
