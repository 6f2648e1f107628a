"""The categories and subcategories ("slots") of what a user can be known to prefer.

The content is `taxonomy.json`; this module loads it, checks it and looks slots up.
"""

import collections
import dataclasses
import difflib
import functools
import json
from importlib import resources
from typing import Any

MIN_VALUES = 4
MAX_VALUES = 5
MIN_EXAMPLES = 2

ONE, MANY = "one", "many"

_FILE = "taxonomy.json"
_CATEGORY_TEXTS = ("id", "name", "definition")
_SUBCATEGORY_TEXTS = ("id", "name", "definition", "question", "when")


@dataclasses.dataclass(frozen=True)
class Subcategory:
    """One slot of a profile.

    path      "food/spice_level"
    question  what to ask the user when the slot is unknown
    when      closes a sentence that names a value: "I prefer {value} {when}."
    holds     ONE value at a time, which another replaces, or MANY, which stand side by side
    safety    whether harm may come of not knowing it: allergies, medicines, conditions
    state     whether it tells how things are with the user rather than what is preferred
    rejected  the slot of what is rejected here, "" where it is this one
    values    distinct alternatives, noun or gerund phrases
    examples  statements about a user that belong to this slot
    """

    path: str
    name: str
    definition: str
    question: str
    when: str
    holds: str
    safety: bool
    state: bool
    rejected: str
    values: tuple[str, ...]
    examples: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Category:
    """A group of slots whose facts age alike, by `half_life_days`."""

    id: str
    name: str
    definition: str
    half_life_days: int
    subcategories: tuple[Subcategory, ...]


@dataclasses.dataclass(frozen=True)
class Taxonomy:
    """All categories in file order, and the half-life of facts that fit none of them."""

    categories: tuple[Category, ...]
    other_half_life_days: int

    @classmethod
    def load(cls) -> "Taxonomy":
        """The taxonomy of this package, read and checked once a process."""
        return _load()

    @functools.cached_property
    def subcategories(self) -> tuple[Subcategory, ...]:
        """Every slot in file order."""
        return tuple(slot for category in self.categories for slot in category.subcategories)

    @functools.cached_property
    def _by_path(self) -> dict[str, Subcategory]:
        return {slot.path: slot for slot in self.subcategories}

    def get(self, path: str) -> Subcategory:
        """The slot at "category/subcategory"; a ValueError names the nearest for a wrong path."""
        if path in self._by_path:
            return self._by_path[path]
        raise ValueError(
            f"taxonomy path {path!r} does not exist; {self._nearest(path)}. "
            'Paths read "category/subcategory", see pa_jax/profile/taxonomy.json.'
        )

    def _nearest(self, path: str) -> str:
        near = difflib.get_close_matches(path, self._by_path, n=1, cutoff=0.5)
        if not near:
            tails = {slot.path.split("/")[1]: slot.path for slot in self.subcategories}
            tail = difflib.get_close_matches(path.split("/")[-1], tails, n=1, cutoff=0.5)
            near = [tails[name] for name in tail]
        if near:
            return f"the nearest is {near[0]!r}"
        return f"categories are {', '.join(category.id for category in self.categories)}"


@functools.cache
def _load() -> Taxonomy:
    text = resources.files(__package__).joinpath(_FILE).read_text(encoding="utf-8")
    return parse(text)


def parse(text: str) -> Taxonomy:
    """The taxonomy in a JSON text; a ValueError names the first entry that breaks a rule."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{_FILE} is no JSON: {error}; restore the file.") from error
    entries = _list(content, "categories", _FILE)
    taxonomy = Taxonomy(
        tuple(_category(entry) for entry in entries),
        _days(content, "other_half_life_days", _FILE),
    )
    _reject_repeats("category id", [category.id for category in taxonomy.categories])
    _reject_repeats("path", [slot.path for slot in taxonomy.subcategories])
    _reject_repeats("value", [value for slot in taxonomy.subcategories for value in slot.values])
    for path in filter(None, (slot.rejected for slot in taxonomy.subcategories)):
        taxonomy.get(path)
    return taxonomy


def _category(entry: Any) -> Category:
    texts = {key: _text(entry, key, "a category") for key in _CATEGORY_TEXTS}
    slots = _list(entry, "subcategories", texts["id"])
    return Category(
        **texts,
        half_life_days=_days(entry, "half_life_days", texts["id"]),
        subcategories=tuple(_subcategory(texts["id"], slot) for slot in slots),
    )


def _subcategory(category_id: str, entry: Any) -> Subcategory:
    texts = {key: _text(entry, key, category_id) for key in _SUBCATEGORY_TEXTS}
    path = f"{category_id}/{texts.pop('id')}"
    values = _texts(entry, "values", path)
    examples = _texts(entry, "examples", path)
    if not MIN_VALUES <= len(values) <= MAX_VALUES:
        raise ValueError(
            f"{_FILE}: {path} has {len(values)} values; write {MIN_VALUES} to {MAX_VALUES}."
        )
    if len(examples) < MIN_EXAMPLES:
        raise ValueError(
            f"{_FILE}: {path} has {len(examples)} examples; write {MIN_EXAMPLES} or more."
        )
    holds = _text(entry, "holds", path)
    if holds not in (ONE, MANY):
        raise ValueError(f"{_FILE}: holds of {path} is {holds!r}; write {ONE!r} or {MANY!r}.")
    return Subcategory(
        path=path,
        values=values,
        examples=examples,
        holds=holds,
        safety=_flag(entry, "safety", path),
        state=_flag(entry, "state", path),
        rejected=_text(entry, "rejected", path) if "rejected" in entry else "",
        **texts,
    )


def _flag(entry: Any, key: str, where: str) -> bool:
    """Whether a flag is set; it may be left out."""
    value = entry.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f"{_FILE}: {key} of {where} is {value!r}; write true, or leave it out.")
    return value


def _field(entry: Any, key: str, where: str) -> Any:
    if not isinstance(entry, dict) or key not in entry:
        raise ValueError(f"{_FILE}: an entry of {where} has no {key!r}; add it to {entry!r:.80}.")
    return entry[key]


def _days(entry: Any, key: str, where: str) -> int:
    days = entry.get(key)
    if not isinstance(days, int) or isinstance(days, bool) or days <= 0:
        raise ValueError(
            f"{_FILE}: {key} of {where} is {days!r}; it must be a whole number of days, 1 or more."
        )
    return days


def _list(entry: Any, key: str, where: str) -> list[Any]:
    items = _field(entry, key, where)
    if not isinstance(items, list) or not items:
        raise ValueError(f"{_FILE}: {key} of {where} must be a list with entries, got {items!r}.")
    return items


def _text(entry: Any, key: str, where: str) -> str:
    text = _field(entry, key, where)
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{_FILE}: {key} in {where} must be a text with words, got {text!r}.")
    return text


def _texts(entry: Any, key: str, where: str) -> tuple[str, ...]:
    items = _list(entry, key, where)
    return tuple(_text({key: item}, key, where) for item in items)


def _reject_repeats(what: str, items: list[str]) -> None:
    repeated = sorted(item for item, n in collections.Counter(items).items() if n > 1)
    if repeated:
        raise ValueError(f"{_FILE}: {what} {repeated[0]!r} occurs more than once; rename one.")
