"""PrefEval's folder (arXiv 2502.09597) as dialogues: explicit, choice-based and persona-driven.

Gold is PrefEval's preference, word for word, in the first person as it stands there.
"""

import collections
import json
import pathlib
import re
from collections.abc import Callable, Collection, Iterator

from pa_jax.data import quarantine as quarantine_lib
from pa_jax.data.readers import items
from pa_jax.dialogue import schema, snippet

FOLDERS = {
    "explicit": "explicit_preference",
    "choice": "implicit_preference/choice-based",
    "persona": "implicit_preference/persona-driven",
}
HELDOUT_TOPICS = ("travel_restaurant", "shop_fashion", "entertain_games", "lifestyle_fit")

_COMMON = frozenset(
    "about all and any are avoid been but by can could does don't for from have i'm i've it's just "
    "like more most not prefer rather some such than that the their them there these they this too "
    "usually very was what when where which who with would you your".split()
)
# How PrefEval's persona speakers let a preference slip ("By the way, I usually prefer ...").
_CUE = re.compile(
    r"\b(usually|generally|typical(ly)?|tend to|prefer|preference|avoid|rather than|instead of|"
    r"as someone who|due to|because of|most of the time|favou?rite|always|never|don't|can't|"
    r"not a fan|dislike|hate|allerg\w*|sensitive|focus on|stick to|steer clear|fan of)\b",
    re.IGNORECASE,
)


def topics(folder: str, form: str, *, section: str = "data") -> list[str]:
    """The topics that the folder holds for a form, in order."""
    return [path.stem for path in files(folder, form, section=section)]


def read(
    folder: str, form: str, keep: Collection[str], quarantine: quarantine_lib.Quarantine
) -> Iterator[schema.Dialogue]:
    """One dialogue an item of the topics in `keep`; `folder` holds benchmark_dataset or is it.

    explicit  one message: the preference as the user says it, then the question (PrefEval asks it
              in a later turn; together, the snippet has to leave the question out)
    choice    the query, which shows nothing; then the choice among the options, with the gold
    persona   the conversation, the gold at the turn that reveals it (see `revealing_turn`); the
              other turns count as showing no preference, as PrefEval labels one a conversation
    """
    for path in files(folder, form):
        if path.stem not in keep:
            continue
        for number, item in enumerate(items.read_list(path)):
            try:
                turns = _TURNS[form](items.as_dict(item), path.stem)
            except quarantine_lib.BadItem as error:
                quarantine.reject(path, number, str(error), json.dumps(item))
                continue
            quarantine.accept()
            name = f"prefeval/{form}/{path.stem}/{number}"
            yield schema.Dialogue(id=name, user_id=name, turns=turns)
    quarantine.finish(folder)


def revealing_turn(preference: str, said: list[str]) -> int:
    """Index of the user turn that most plainly reveals the preference; of equals, the first.

    A turn scores 1/n for each word (by its first five letters) it shares with the preference that
    n turns of the conversation hold, and 1 for a phrase by which people state a preference. The
    first of equals, because later ones only repeat what the profile then holds.
    """
    wanted = _stems(preference)
    shared = [_stems(text) & wanted for text in said]
    holders = collections.Counter(stem for stems in shared for stem in stems)
    scores = [
        sum(1 / holders[stem] for stem in stems) + bool(_CUE.search(text))
        for stems, text in zip(shared, said, strict=True)
    ]
    return max(range(len(said)), key=lambda turn: (round(scores[turn], 6), -turn))


def _stems(text: str) -> set[str]:
    words = re.findall(r"[a-z']{3,}", text.lower())
    return {word[:5] for word in words if word not in _COMMON}


def files(folder: str, form: str, *, section: str = "data") -> list[pathlib.Path]:
    """The form's files, a topic each, in order of name; `section` of the config names both."""
    if form not in FOLDERS:
        raise quarantine_lib.DataError(f"{section}.form={form!r}: choose one of {sorted(FOLDERS)}.")
    if not folder:
        raise quarantine_lib.DataError(
            f"{section}.path is empty; PrefEval is read from its folder. Set "
            f"--config.{section}.path=DIR."
        )
    place = pathlib.Path(folder).expanduser()
    for root in (place, place / "benchmark_dataset"):
        found = items.visible(root / FOLDERS[form], "*.json")
        if found:
            return found
    raise quarantine_lib.DataError(
        f"{section}.path={folder!r} has no {FOLDERS[form]}/*.json, neither in itself nor in "
        "benchmark_dataset; give the folder of PrefEval that holds benchmark_dataset."
    )


def root(file: pathlib.Path) -> pathlib.Path:
    """benchmark_dataset, of one of its forms' files."""
    return next(
        p for p in file.parents if any(p / name in file.parents for name in FOLDERS.values())
    )


def noise_file(folder: str) -> pathlib.Path:
    """The conversations that PrefEval puts between a preference and its question."""
    return root(files(folder, "explicit", section="prefeval")[0]) / "filtered_inter_turns.json"


def turns(item: dict, form: str, topic: str) -> tuple[schema.Turn, ...]:
    """The turns of one item as `read` gives them; BadItem where it is not of that form."""
    return _TURNS[form](item, topic)


def _gold(item: dict) -> str:
    gold = items.text_of(item, "preference")
    parsed = snippet.parse(gold)
    if isinstance(parsed, snippet.ParseFailure):
        raise quarantine_lib.BadItem(f"'preference' is no snippet: {parsed.reason}")
    return gold


def _explicit(item: dict, topic: str) -> tuple[schema.Turn, ...]:
    gold = _gold(item)
    said = f"{gold} {items.text_of(item, 'question')}"
    return (schema.Turn(user=said, gold=gold, slot=topic, kind="explicit"),)


def _choice(item: dict, topic: str) -> tuple[schema.Turn, ...]:
    gold = _gold(item)
    talk = items.as_dict(item.get("conversation"))
    reply = items.text_of(talk, "assistant_acknowledgment")
    chosen = items.text_of(talk, "user_selection")
    return (
        _shows_nothing(items.text_of(talk, "query"), items.text_of(talk, "assistant_options")),
        schema.Turn(user=chosen, assistant=reply, gold=gold, slot=topic, kind="choice"),
    )


def _persona(item: dict, topic: str) -> tuple[schema.Turn, ...]:
    gold = _gold(item)
    talk = items.as_dict(item.get("conversation"))
    if not talk or set(talk) != {str(turn) for turn in range(len(talk))}:
        raise quarantine_lib.BadItem(f"'conversation' must number its turns 0.., got {list(talk)}")
    pairs = [items.as_dict(talk[str(turn)]) for turn in range(len(talk))]
    said = [items.text_of(pair, "user") for pair in pairs]
    replies = [items.text_of(pair, "assistant") for pair in pairs]
    turns = [_shows_nothing(*pair) for pair in zip(said, replies, strict=True)]
    at = revealing_turn(gold, said)
    turns[at] = schema.Turn(said[at], replies[at], gold=gold, slot=topic, kind="persona")
    return tuple(turns)


def _shows_nothing(user: str, assistant: str) -> schema.Turn:
    return schema.Turn(user=user, assistant=assistant, gold=snippet.NOTHING, kind="distractor")


_TURNS: dict[str, Callable[[dict, str], tuple[schema.Turn, ...]]] = {
    "explicit": _explicit,
    "choice": _choice,
    "persona": _persona,
}
