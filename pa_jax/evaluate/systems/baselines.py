"""The systems that are compared: each turns what was said and a question into a prompt.

The wording is ours. PrefEval's own baselines (zero_shot, reminder, cot, self_critic, rag) have
their messages in PrefEval's order: the dialogue, then the question with the hint before or after.
The ones with a memory (retrieval, memory_bank, oracle, inferred) see that and the last messages of
the session, not the dialogue.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from pa_jax.dialogue import prompts, schema, snippet
from pa_jax.evaluate import chat_model
from pa_jax.evaluate.asking import simulated
from pa_jax.evaluate.systems import memory
from pa_jax.profile import render

Chat = tuple[schema.Message, ...]

INSTRUCTION = "You are a helpful assistant."
REMINDER = (
    "\nKeep in mind what I have told or shown you about my preferences, and answer in line with it."
)
REASONING = (
    "A good assistant first recalls which of my preferences, told or shown earlier, bear on a "
    "question, and then gives an answer that respects them.\n"
    'Example: told "I am afraid of heights" and later asked "What should I see in Paris?", it '
    "thinks: high viewpoints would frighten this user. It answers: the Louvre, a boat on the "
    "Seine and the gardens, all on the ground; I left out the Eiffel Tower because of your fear of "
    "heights.\nThink in this way about my own preferences, then answer this:\n\n"
)
CRITIQUE = (
    "Look at your last answer. Does it respect every preference of mine that came up earlier and "
    "bears on this question? Say in two sentences what it respects and what it violates."
)
REVISION = "With this in mind, answer my question again so that it respects my preferences better."
CONTEXT = "From our earlier conversations, what may matter here:\n{lines}\n\nNow my question: "
PROFILE = "\n\nWhat is known about the user:\n{lines}"


@dataclasses.dataclass(frozen=True)
class Request:
    """One question to a system.

    history   user and assistant messages before, oldest first
    session   where in the history the present session begins
    question  the user's words; a system may put hints around them
    form      what the benchmark adds after all hints: options, a limit of words
    gold      true statements about the user, for the oracle alone
    person    who answers where a system asks back; None: nobody
    """

    id: str
    history: Chat
    question: str
    form: str = ""
    gold: tuple[str, ...] = ()
    session: int = 0
    person: simulated.Person | None = None


@dataclasses.dataclass(frozen=True)
class SystemConfig:
    """Numbers of the systems.

    top            messages or exchanges that are retrieved
    recent         last messages of the session that systems with a memory see beside it
    turns_a_day    the memory's clock
    profile_chars  of a profile in the prompt
    prompt         limits of the inferencer's prompt
    """

    top: int
    recent: int
    turns_a_day: float
    profile_chars: int
    prompt: prompts.PromptConfig


Prompts = Callable[[Sequence[Request], chat_model.ChatModel, SystemConfig], list[Chat]]
Figures = Callable[[Request, chat_model.ChatModel, SystemConfig], dict[str, float]]
Statements = Callable[
    [Sequence[Request], chat_model.ChatModel, SystemConfig], list[tuple[str, ...]]
]
Reply = Callable[
    [Sequence[Request], chat_model.ChatModel, SystemConfig], list[chat_model.ChatReply]
]


@dataclasses.dataclass(frozen=True)
class System:
    """`prompts` are what the model answers, multiple choice included.

    reply    answers by itself where that is more than the model's answer to the prompt: an agent
             that asks, say
    figures  what there is to say about the profile that the system holds at a request
    statements  what it holds about each user, where it holds statements
    """

    prompts: Prompts
    reply: Reply | None = None
    figures: Figures | None = None
    statements: Statements | None = None


def answer(
    system: System, requests: Sequence[Request], model: chat_model.ChatModel, cfg: SystemConfig
) -> list[chat_model.ChatReply]:
    """The system's replies, in order."""
    if system.reply is not None:
        return system.reply(requests, model, cfg)
    return model.reply(system.prompts(requests, model, cfg))


def answers(
    chosen: Mapping[str, System],
    requests: Sequence[Request],
    model: chat_model.ChatModel,
    cfg: SystemConfig,
) -> dict[str, list[chat_model.ChatReply]]:
    """Every system's replies, in order.

    The chats go to the model together: what systems show alike of a dialogue is computed once.
    """
    asked = {name: s for name, s in chosen.items() if s.reply is None}
    chats = [chat for s in asked.values() for chat in s.prompts(requests, model, cfg)]
    said, count = model.reply(chats), len(requests)
    found = {name: said[k * count : (k + 1) * count] for k, name in enumerate(asked)}
    return {
        name: system.reply(requests, model, cfg) if system.reply else found[name]
        for name, system in chosen.items()
    }


def _chat(
    request: Request, history: Chat, *, before: str = "", after: str = "", known: str = ""
) -> Chat:
    asked = f"{before}{request.question}{after}{request.form}"
    return (
        schema.Message("system", INSTRUCTION + known),
        *history,
        schema.Message("user", asked),
    )


def no_history(
    requests: Sequence[Request], model: chat_model.ChatModel, cfg: SystemConfig
) -> list[Chat]:
    """The question alone: what any user would be told."""
    return [_chat(r, ()) for r in requests]


def zero_shot(
    requests: Sequence[Request], model: chat_model.ChatModel, cfg: SystemConfig
) -> list[Chat]:
    """The present session as it was said, and the question."""
    return [_chat(r, r.history[r.session :]) for r in requests]


def full_history(
    requests: Sequence[Request], model: chat_model.ChatModel, cfg: SystemConfig
) -> list[Chat]:
    """All sessions as they were said, and the question."""
    return [_chat(r, r.history) for r in requests]


def reminder(
    requests: Sequence[Request], model: chat_model.ChatModel, cfg: SystemConfig
) -> list[Chat]:
    """The present session, and a reminder after the question."""
    return [_chat(r, r.history[r.session :], after=REMINDER) for r in requests]


def cot(requests: Sequence[Request], model: chat_model.ChatModel, cfg: SystemConfig) -> list[Chat]:
    """The present session, and an example of thinking about preferences before the question."""
    return [_chat(r, r.history[r.session :], before=REASONING) for r in requests]


def self_critic(
    requests: Sequence[Request], model: chat_model.ChatModel, cfg: SystemConfig
) -> list[Chat]:
    """The model's first answer, its own critique of it, and the request to answer again."""
    chats = zero_shot(requests, model, cfg)
    drafts = model.reply(chats)
    asked = [
        (*chat, schema.Message("assistant", said.text), schema.Message("user", CRITIQUE))
        for chat, said in zip(chats, drafts, strict=True)
    ]
    critiques = model.reply(asked)
    return [
        (
            *chat,
            schema.Message("assistant", said.text),
            schema.Message("user", f"{REVISION} {request.question}{request.form}"),
        )
        for request, chat, said in zip(requests, asked, critiques, strict=True)
    ]


def retrieval(
    requests: Sequence[Request], model: chat_model.ChatModel, cfg: SystemConfig
) -> list[Chat]:
    """The few messages that share most words with the question."""
    return [_chat(r, _recent(r, cfg), before=_found(r, cfg)) for r in requests]


def rag(requests: Sequence[Request], model: chat_model.ChatModel, cfg: SystemConfig) -> list[Chat]:
    """The dialogue, and the few messages that share most words with the question before it."""
    return [_chat(r, r.history, before=_found(r, cfg)) for r in requests]


def rag_embedding(
    requests: Sequence[Request], model: chat_model.ChatModel, cfg: SystemConfig
) -> list[Chat]:
    """The dialogue, and before the question the few messages that the model itself finds near it.

    Near by the mean of its last hidden states: no model is loaded for it.
    """
    out = []
    for request in requests:
        texts = [message.content for message in request.history]
        *vectors, query = model.vectors([*texts, request.question])
        found = memory.nearest_vectors(request.history, np.array(vectors), query, cfg.top)
        out.append(_chat(request, request.history, before=_listed(found)))
    return out


def memory_bank(
    requests: Sequence[Request], model: chat_model.ChatModel, cfg: SystemConfig
) -> list[Chat]:
    """What a forgetting memory recalls: each user message recalls, then each exchange is kept."""
    out = []
    for request in requests:
        bank, exchanges = memory.MemoryBank(), _exchanges(request.history)
        for number, (said, text) in enumerate(exchanges):
            now = number / cfg.turns_a_day
            bank.recall(said, now, cfg.top)
            bank.add(text, now)
        found = bank.recall(request.question, len(exchanges) / cfg.turns_a_day, cfg.top)
        out.append(_chat(request, _recent(request, cfg), before=_context(found)))
    return out


def oracle(
    requests: Sequence[Request], model: chat_model.ChatModel, cfg: SystemConfig
) -> list[Chat]:
    """What is true of the user, in the system message."""
    return [with_profile(r, r.gold, cfg) for r in requests]


def _true(
    requests: Sequence[Request], model: chat_model.ChatModel, cfg: SystemConfig
) -> list[tuple[str, ...]]:
    return [request.gold for request in requests]


def inferred(
    requests: Sequence[Request], model: chat_model.ChatModel, cfg: SystemConfig
) -> list[Chat]:
    """A profile that the model infers turn by turn with the inferencer's prompt.

    The turn-level decomposition alone: no update rules, grounding or questions, which the agent
    brings.
    """
    noted = _noted(requests, model, cfg)
    return [with_profile(r, of_one, cfg) for r, of_one in zip(requests, noted, strict=True)]


def _noted(
    requests: Sequence[Request], model: chat_model.ChatModel, cfg: SystemConfig
) -> list[tuple[str, ...]]:
    """The statements of `inferred`, in the order in which they were written."""
    turns = [turns_of(request.history) for request in requests]
    known: list[list[str]] = [[] for _ in requests]
    for number in range(max(map(len, turns), default=0)):
        at = [i for i, of_one in enumerate(turns) if number < len(of_one)]
        asked = []
        for i in at:
            context, said = turns[i][number]
            episode = schema.Episode(
                id=requests[i].id,
                user_id=requests[i].id,
                profile=tuple(known[i]),
                context=context,
                user=said,
                gold=None,
            )
            asked.append(prompts.infer(episode, cfg.prompt))
        for i, written in zip(at, model.reply(asked), strict=True):
            parsed = snippet.parse(written.text)
            if written.finished and isinstance(parsed, snippet.Snippet):
                known[i] += [line for line in parsed.statements if line not in known[i]]
    return [tuple(of_one) for of_one in known]


SYSTEMS: dict[str, System] = {
    name: System(make)
    for name, make in {
        "no_history": no_history,
        "zero_shot": zero_shot,
        "full_history": full_history,
        "reminder": reminder,
        "cot": cot,
        "self_critic": self_critic,
        "retrieval": retrieval,
        "rag": rag,
        "rag_embedding": rag_embedding,
        "memory_bank": memory_bank,
    }.items()
} | {
    "oracle": System(oracle, statements=_true),
    "inferred": System(inferred, statements=_noted),
}


def choose(names: Sequence[str], known: Mapping[str, System] = SYSTEMS) -> dict[str, System]:
    """The systems of these names; ValueError names the ones there are."""
    for name in names:
        if name not in known:
            raise ValueError(f"systems has {name!r}: choose among {sorted(known)}.")
    return {name: known[name] for name in names}


def with_profile(request: Request, statements: Sequence[str], cfg: SystemConfig) -> Chat:
    """Statements in the system message, the last messages of the session, the question."""
    known = PROFILE.format(lines=render.render(statements, max_chars=cfg.profile_chars))
    return _chat(request, _recent(request, cfg), known=known)


def _recent(request: Request, cfg: SystemConfig) -> Chat:
    session = request.history[request.session :]
    return session[max(0, len(session) - cfg.recent) :]


def _found(request: Request, cfg: SystemConfig) -> str:
    return _listed(memory.nearest(request.history, request.question, cfg.top))


def _listed(found: Sequence[schema.Message]) -> str:
    return _context([f"{message.role}: {message.content}" for message in found])


def _context(lines: Sequence[str]) -> str:
    return CONTEXT.format(lines="\n".join(f"- {line}" for line in lines)) if lines else ""


def turns_of(history: Chat) -> list[tuple[str, str]]:
    """What the assistant said last, and the user's words, of every user message."""
    out, context = [], ""
    for message in history:
        if message.role == "user":
            out.append((context, message.content))
        context = message.content if message.role == "assistant" else ""
    return out


def _exchanges(history: Chat) -> list[tuple[str, str]]:
    """The user's words, and with the reply that followed, of every user message."""
    out: list[tuple[str, str]] = []
    for message in history:
        if message.role == "user":
            out.append((message.content, f"user: {message.content}"))
        elif out:
            said, text = out[-1]
            out[-1] = (said, f"{text} assistant: {message.content}")
    return out


def history(turns: Iterable[schema.Turn]) -> Chat:
    """Turns as the messages of a conversation; an assistant that said nothing has none."""
    return tuple(
        schema.Message(role, text)
        for turn in turns
        for role, text in (("user", turn.user), ("assistant", turn.assistant))
        if text
    )
