"""Requests and responses of the HTTP API, as pydantic models; strict: "1" is no number.

What clients send and this server has not is refused where it would change the answer (UNSUPPORTED),
and left alone where it would not (HARMLESS); what nobody knows is a slip, and refused, too.
"""

import dataclasses
import difflib
import json
from typing import Annotated, Any, Literal

import pydantic

from pa_jax.profile import codec, facts, portable
from pa_jax.profile.db import journal

RESULTS = ("tool", "function")  # roles of what came of a call
STRICT = pydantic.ConfigDict(strict=True, extra="ignore")
OURS = pydantic.ConfigDict(strict=True, extra="forbid")  # bodies that no client of OpenAI's sends
SEEDS = 2**32
MAX_INTEGER = codec.MAX_INTEGER


def _whole(text: str) -> str:
    """Refuses half a surrogate pair, which JSON can write and no database keeps."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("half a surrogate pair is no character") from error
    return text


def _text_alone(kind: str) -> str:
    if kind != "text":
        raise ValueError("only parts of type 'text' are read here; leave other parts out")
    return kind


Text = Annotated[str, pydantic.AfterValidator(_whole)]
Finite = Annotated[float, pydantic.Field(allow_inf_nan=False)]
Stop = Annotated[Text, pydantic.Field(min_length=1, max_length=256)]

# Fields of OpenAI's API that would change the answer -> values that ask for nothing.
UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "audio": (None,),
    "best_of": (None, 1),
    "chat_template_kwargs": (None, {}, {"enable_thinking": False}),
    "echo": (None, False),
    "frequency_penalty": (None, 0),
    "function_call": (None, "none"),
    "functions": (None, []),
    "ignore_eos": (None, False),
    "logit_bias": (None, {}),
    "length_penalty": (None, 1),
    "logprobs": (None, False),
    "min_p": (None, 0),
    "min_tokens": (None, 0),
    "modalities": (None, ["text"]),
    "presence_penalty": (None, 0),
    "reasoning_effort": (None, "none", "minimal"),
    "response_format": (None, {"type": "text"}),
    "skip_special_tokens": (None, True),
    "tfs": (None, 1),
    "tfs_z": (None, 1),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "top_a": (None, 0),
    "top_logprobs": (None, 0),
    "typical_p": (None, 1),
    "use_beam_search": (None, False),
    "verbosity": (None, "medium"),
    "web_search_options": (None,),
}


# Fields that say nothing of the answer: how it is billed, stored, sped up or told from others.
HARMLESS = (
    *("metadata", "parallel_tool_calls", "prediction", "prompt_cache_key"),
    *("prompt_cache_retention", "safety_identifier", "service_tier", "store"),
)
INSTEAD = {  # what of this API comes near to a field that is not supported
    "frequency_penalty": "repetition_penalty",
    "presence_penalty": "repetition_penalty",
    "min_p": "top_p",
    "best_of": "n",
}


class TextPart(pydantic.BaseModel):
    """A part of a message."""

    model_config = STRICT
    type: Annotated[str, pydantic.AfterValidator(_text_alone)]
    text: Text = ""

    @pydantic.model_validator(mode="after")
    def _with_text(self) -> "TextPart":
        if "text" not in self.model_fields_set:
            raise ValueError("a part of type 'text' has its words in 'text'")
        return self


class Called(pydantic.BaseModel):
    """The call of a tool: its name, and its arguments as JSON."""

    model_config = STRICT
    name: Text
    arguments: Text = "{}"


class ToolCall(pydantic.BaseModel):
    """A call in a message of the assistant's."""

    model_config = STRICT
    function: Called


class Message(pydantic.BaseModel):
    """A chat message; `developer` is another name of `system`, `function` an older one of `tool`.

    Calls of tools, and what came of them, are told to the model in the words of Qwen's templates.
    """

    model_config = STRICT
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text | list[TextPart] | None = None
    refusal: Text | None = None  # of an assistant's message, in its content's place
    tool_calls: list[ToolCall] | None = None
    function_call: Called | None = None

    def text(self) -> str:
        """Its words, parts joined, and the calls in it."""
        parts = self.content or self.refusal or ""
        text = parts if isinstance(parts, str) else "".join(part.text for part in parts)
        if self.role in RESULTS:
            return f"<tool_response>\n{text}\n</tool_response>"
        called = [call.function for call in self.tool_calls or ()]
        called += [self.function_call] if self.function_call else []
        calls = [
            f'<tool_call>\n{{"name": {json.dumps(one.name)}, "arguments": {one.arguments}}}\n'
            "</tool_call>"
            for one in called
        ]
        return "\n".join([*([text] if text else []), *calls])


class StreamOptions(pydantic.BaseModel):
    """What a stream tells besides the reply."""

    model_config = STRICT
    include_usage: bool | None = None


class ChatRequest(pydantic.BaseModel):
    """POST /v1/chat/completions.

    Without `user` a plain completion; with it a turn of that user's, of `session` where given.
    `replaces` is a turn of that session: where it is the last one and says the same it is answered
    anew, else it and those after it are taken back and this is said instead. `memory` false is a
    plain completion whoever asks: no profile is read, and nothing is learnt or kept.
    """

    model_config = pydantic.ConfigDict(strict=True, extra="allow")
    messages: Annotated[list[Message], pydantic.Field(min_length=1)]
    model: str | None = None
    user: str | None = None
    session: Annotated[int, pydantic.Field(ge=0, le=MAX_INTEGER)] | None = None
    replaces: Annotated[int, pydantic.Field(ge=0, le=MAX_INTEGER)] | None = None
    memory: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, pydantic.Field(ge=1)] | None = None
    stop: Stop | Annotated[list[Stop], pydantic.Field(max_length=8)] | None = None
    seed: int | None = None
    temperature: Annotated[Finite, pydantic.Field(ge=0, le=2)] | None = None
    top_p: Annotated[Finite, pydantic.Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, pydantic.Field(ge=-1, le=MAX_INTEGER)] | None = None
    repetition_penalty: Annotated[Finite, pydantic.Field(ge=1, le=10)] | None = None
    max_tokens: Annotated[int, pydantic.Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, pydantic.Field(ge=1)] | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def limit(self) -> int | None:
        """Tokens of the reply at most, by either name."""
        return self.max_completion_tokens or self.max_tokens

    def unsupported(self) -> tuple[str, str] | None:
        """The first field that asks for what this server has not, and what is allowed instead."""
        given = self.model_extra or {}
        for name, allowed in UNSUPPORTED.items():
            if name in given and given[name] not in allowed:
                got = ascii(json.dumps(given[name]))[1:-1][:60]
                values = " or ".join(json.dumps(value) for value in allowed if value is not None)
                allows = f"; allowed is {values}" if values else ""
                other = f", or use {INSTEAD[name]}" if name in INSTEAD else ""
                return name, f"{name}={got} is not supported here{allows}. Leave it out{other}."
        for name, value in given.items():
            if value is not None and name not in (*UNSUPPORTED, *HARMLESS):
                nearest = difflib.get_close_matches(name, type(self).model_fields, 1)
                meant = f"; {nearest[0]!r} is the nearest" if nearest else ""
                plain = ascii(name)[1:-1][:60]
                return plain, f"{plain!r} is no field of this API{meant}. Leave it out."
        return None


class Statement(pydantic.BaseModel):
    """A fact to add, or to put in another's place: one sentence about the user, in own words."""

    model_config = OURS
    statement: Annotated[Text, pydantic.Field(examples=["I am allergic to cashews."])]


class Undo(pydantic.BaseModel):
    """POST /v1/profiles/{user}/undo: the turn whose changes are taken back."""

    model_config = OURS
    session: Annotated[int, pydantic.Field(ge=0, le=MAX_INTEGER)]
    turn: Annotated[int, pydantic.Field(ge=0, le=MAX_INTEGER)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fact(facts.Fact):
    """One statement about a user; `confidence` is at `recorded_at`, `confidence_now` after decay.

    `told` is the statement as it is said to the user: "You like tea." Times are ISO 8601 in UTC.
    """

    confidence_now: float
    told: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record(Fact, portable.Record):
    """A version of a fact: what was known from `known_from` until `known_to`."""


class Update(pydantic.BaseModel):
    """What a turn did to a fact."""

    kind: str
    fact: Fact


class TurnMade(pydantic.BaseModel):
    """What came of a turn besides its reply: what was learnt, and why it asked or did not."""

    session: int
    turn: int
    asked: str | None = None
    question: str | None = None
    why: str = ""
    updates: list[Update] = []
    dropped: list[str] = []


class Facts(pydantic.BaseModel):
    """GET /v1/profiles/{user}"""

    user: str
    facts: list[Fact]


class History(pydantic.BaseModel):
    """GET /v1/profiles/{user}/history"""

    user: str
    records: list[Record]


class Turn(pydantic.BaseModel):
    """A turn as it was said.

    `reply` is None while it is not answered; `so_far` is then what this server said of it.
    """

    turn: int
    words: str
    reply: str | None
    so_far: str | None = None
    asked: str | None
    question: str | None
    why: str | None
    received_at: codec.Moment


class Session(pydantic.BaseModel):
    """GET /v1/profiles/{user}/sessions/{session}"""

    user: str
    session: int
    turns: list[Turn]


class Sessions(pydantic.BaseModel):
    """GET /v1/profiles/{user}/sessions: all of them, the newest first; conversations by use."""

    user: str
    sessions: list[int]
    conversations: list[journal.Conversation]


class Imported(pydantic.BaseModel):
    """POST /v1/profiles/{user}/import"""

    user: str
    facts: int


class Model(pydantic.BaseModel):
    """A model, by its `id` here; `name` is what people call it."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    name: str


class Models(pydantic.BaseModel):
    """GET /v1/models"""

    object: Literal["list"] = "list"
    data: list[Model]


class ErrorBody(pydantic.BaseModel):
    """What is wrong."""

    message: str
    type: str
    code: str
    param: str | None


class Error(pydantic.BaseModel):
    """Every answer that is an error."""

    error: ErrorBody
