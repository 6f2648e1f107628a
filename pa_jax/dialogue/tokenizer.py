"""The tokenizer as the rest of the code sees it: text is data, special tokens come from templates.

Wraps transformers' fast tokenizer. Picklable, so that Grain workers can hold one. No JAX import.
"""

import functools
import itertools
import json
from collections.abc import Iterable, Sequence

import jinja2
import tokenizers
import transformers
from tokenizers import decoders, models, pre_tokenizers

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# How somebody else's template fails: by its own words, or by a fault of the code in it.
TEMPLATE_FAULTS = (
    *(jinja2.TemplateError, TypeError, ValueError, RuntimeError),
    *(ArithmeticError, LookupError, AttributeError),
)
TINY_VOCAB = 512
FREQUENT_LETTERS = "etaoinshrdlucmfw"  # their 256 pairs fill the tiny vocabulary


class Tokenizer:
    """Text to ids and back, and the chat template of one checkpoint."""

    def __init__(
        self, hf: transformers.PreTrainedTokenizerFast, *, eos_ids: Iterable[int] = ()
    ) -> None:
        """`eos_ids` are the generation config's; the tokenizer's own end token is always one.

        So is the one that the template ends an assistant's turn with, which `turn_end` ends with,
        too: training must teach that one. `merge_roles` is for templates that want the user and the
        assistant in turn (template.merged). Of several named templates the default one is meant.
        """
        if isinstance(hf.chat_template, dict) and "default" in hf.chat_template:
            hf.chat_template = hf.chat_template["default"]
        self.hf, self.merge_roles = hf, False
        own = () if hf.eos_token_id is None else (hf.eos_token_id,)
        written = self._written_behind_a_turn()
        self.eos_ids = tuple(sorted({*own, *eos_ids, *written[-1:]}))
        self.turn_end = written or own or self.eos_ids[:1]

    def _written_behind_a_turn(self) -> tuple[int, ...]:
        """The template's ids behind an assistant's words, up to the first added token, if any."""
        if not isinstance(self.hf.chat_template, str):
            return ()
        mark = "\ue000"
        chat = [{"role": "user", "content": "x"}, {"role": "assistant", "content": mark}]
        try:
            text = str(self.hf.apply_chat_template(chat, tokenize=False))
        except TEMPLATE_FAULTS:  # said where a chat is written
            return ()
        rest = text.rpartition(mark)[2]
        found = min(((rest.find(t), -len(t), t) for t in self.added if t in rest), default=None)
        if found is None:
            return ()
        return (*self.encode(rest[: found[0]]), self.added[found[2]])

    def __getstate__(self) -> dict:  # the cached backend is built again
        names = ("hf", "eos_ids", "turn_end", "merge_roles")
        return {name: getattr(self, name) for name in names}

    @functools.cached_property
    def _plain(self) -> tokenizers.Tokenizer:
        """The same model without its added tokens, so that no text can spell one."""
        description = json.loads(self.hf.backend_tokenizer.to_str())
        description["added_tokens"] = []
        description["post_processor"] = None
        description["truncation"] = description["padding"] = None
        return tokenizers.Tokenizer.from_str(json.dumps(description))

    def encode(self, text: str) -> list[int]:
        """Ids of plain text: `<|im_start|>` and its like become ordinary pieces."""
        return self._plain.encode(text, add_special_tokens=False).ids

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of every text, on all cores; equal texts are encoded once."""
        distinct = dict.fromkeys(texts)
        made = self._plain.encode_batch_fast(list(distinct), add_special_tokens=False)
        ids = {text: one.ids for text, one in zip(distinct, made, strict=True)}
        return [ids[text] for text in texts]

    @functools.cached_property
    def added(self) -> dict[str, int]:
        """Ids of the tokens that only templates may write: special ones and the like of <think>."""
        return self.hf.get_added_vocab()

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids; special tokens are left out."""
        return str(self.hf.decode(list(ids), skip_special_tokens=True))

    @property
    def vocab_size(self) -> int:
        """Tokens known here; the model's own vocabulary may be padded to more."""
        return len(self.hf)

    @property
    def template(self) -> str:
        """The jinja chat template; raises ValueError where the checkpoint has none."""
        if not isinstance(self.hf.chat_template, str):
            raise ValueError(
                f"chat template: got {type(self.hf.chat_template).__name__}, one template is "
                "needed; use an instruct checkpoint (a base model has none)."
            )
        return self.hf.chat_template


def tiny() -> Tokenizer:
    """A byte-level tokenizer of exactly TINY_VOCAB tokens with a ChatML template, for tests."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = [(a, b) for a, b in itertools.product(FREQUENT_LETTERS, repeat=2)]
    pairs = pairs[: TINY_VOCAB - len(special) - len(letters)]
    tokens = special + letters + [a + b for a, b in pairs]
    backend = tokenizers.Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, pairs))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([tokenizers.AddedToken(t, normalized=False) for t in special])
    hf = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
        chat_template=CHATML,
    )
    return Tokenizer(hf)
