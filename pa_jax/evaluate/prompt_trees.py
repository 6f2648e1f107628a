"""Trees of prompts that begin alike: which share a trunk, and what follows it."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Tree:
    """Chats of one group that share a trunk.

    places  of the chats in their group
    rest    what follows the trunk, a branch a chat
    leaves  of each branch: what is scored behind it, or where
    room    slots that decoding takes behind a branch
    """

    group: int
    places: list[int]
    trunk: list[int]
    rest: list[list[int]]
    leaves: list[list[list[int]]] = dataclasses.field(default_factory=list)
    room: int = 0


def grown(groups: Sequence[Sequence[list[int]]]) -> list[Tree]:
    """The trees of every group's prompts, without leaves."""
    return [Tree(i, *tree) for i, prompts in enumerate(groups) for tree in _trees(prompts)]


def _trees(prompts: Sequence[list[int]]) -> list[tuple[list[int], list[int], list[list[int]]]]:
    """Places, trunk and rests of prompts; one joins a tree where that halves its cost at least.

    A tree costs its trunk, and for every branch the longest rest, which all are padded to: a prompt
    of ten noise pairs is no branch beside one of none, though they begin alike. Every rest keeps
    two tokens, one for the branch and one for its leaf.
    """
    found: list[tuple[list[int], int, int]] = []  # places, shared length, longest prompt
    for place, ids in enumerate(prompts):
        best = len(ids) / 2, len(found), ([place], len(ids) - 2, len(ids))
        for i, (places, shared, longest) in enumerate(found):
            both = min(shared, _shared(prompts[places[0]], ids), len(ids) - 2)
            joined = [*places, place], both, max(longest, len(ids))
            best = min(best, (_cost(*joined) - _cost(places, shared, longest), i, joined))
        found[best[1] : best[1] + 1] = [best[2]]
    return [
        (places, prompts[places[0]][:shared], [prompts[p][shared:] for p in places])
        for places, shared, _ in found
    ]


def _cost(places: Sequence[int], shared: int, longest: int) -> int:
    """Slots of a tree, but for padding to buckets."""
    return shared + len(places) * (longest - shared)


def _shared(one: list[int], other: list[int]) -> int:
    """How many tokens two prompts begin with alike."""
    for k, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return k
    return min(len(one), len(other))
