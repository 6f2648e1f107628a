"""Trees of prompts that begin alike: which share a trunk, and what follows it."""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

LEAST = 32  # tokens that a prompt shares with its family
SLACK = 32  # tokens that it may share beyond its level
GAIN = 0.85  # of what questions cost alone, at most, where they join others


Name = tuple[int, int]  # group, and place in it


@dataclasses.dataclass(frozen=True)
class Tree:
    """Chats that are scored together.

    trunk     what all begin with
    branches  what follows it
    leaves    of each branch: what follows that
    names     of each branch: whose numbers its leaves give, or (one name) all of them together
    """

    trunk: list[int]
    branches: list[list[int]]
    leaves: list[list[list[int]]]
    names: list[list[Name]]


@dataclasses.dataclass(frozen=True)
class Level:
    """Prompts that leave a trunk at one place: how much of it they see, and what follows."""

    length: int
    places: list[int]
    rest: list[list[int]]


@dataclasses.dataclass(frozen=True)
class Family:
    """Prompts that begin with a part of one trunk."""

    trunk: list[int]
    levels: list[Level]


def families(
    prompts: Sequence[list[int]], dialogues: Sequence[Hashable], most: int
) -> list[Family]:
    """Every prompt in a family: of its dialogue, the longest that it shares enough with.

    Behind 0, 2 and 5 pairs of noise a dialogue is asked at three levels of one trunk. Every rest
    keeps a token at least, and those of a level take `most` slots at most.
    """
    of_dialogue: dict[Hashable, list[int]] = {}
    for place, dialogue in enumerate(dialogues):
        of_dialogue.setdefault(dialogue, []).append(place)
    found = []
    for places in of_dialogue.values():
        left = sorted(places, key=lambda i: -len(prompts[i]))
        while left:
            longest = prompts[left[0]]
            shared = {i: min(_shared(longest, prompts[i]), len(prompts[i]) - 1) for i in left}
            joined = [i for i in left if i == left[0] or shared[i] >= LEAST]
            left = [i for i in left if i not in joined]
            joined.sort(key=lambda i: -shared[i])
            if len(joined) > 1:  # the longest leaves with the one it shares most with
                shared[joined[0]] = shared[joined[1]]
            found.append(_family(prompts, joined, shared, most))
    return found


def _family(
    prompts: Sequence[list[int]], joined: list[int], shared: Mapping[int, int], most: int
) -> Family:
    """Levels of prompts in order of what they share, the most first."""
    groups: list[list[int]] = []
    for i in joined:
        level = [*groups[-1], i] if groups else [i]
        room = sum(len(prompts[k]) - shared[i] for k in level)
        if len(level) > 1 and shared[level[0]] - shared[i] <= SLACK and room <= most:
            groups[-1] = level
        else:
            groups.append([i])
    levels = []
    for group in groups:
        length, places = shared[group[-1]], sorted(group)
        levels.append(Level(length, places, [prompts[i][length:] for i in places]))
    return Family(prompts[joined[0]][: levels[0].length], levels)


def with_replies(
    groups: Sequence[Sequence[list[int]]], replies: Sequence[Sequence[list[list[int]]]]
) -> list[Tree]:
    """Trees of every group's prompts: a prompt is a branch, its replies are the leaves."""
    return [
        Tree(trunk, rest, [replies[i][p] for p in places], [[(i, p)] for p in places])
        for i, prompts in enumerate(groups)
        for places, trunk, rest in _trees(prompts)
    ]


def of_questions(groups: Sequence[Sequence[list[int]]]) -> list[Tree]:
    """Trees of prompts, each a leaf: a branch is what a group shares, a trunk what groups share.

    The judge's questions about a reply are a group, and several replies to one request a tree.
    """
    bundles = [
        _Bundle(trunk, rest, [(i, p) for p in places])
        for i, prompts in enumerate(groups)
        for places, trunk, rest in _trees(prompts)
    ]
    found: list[tuple[list[_Bundle], int]] = []  # what is in a tree, length of what all share
    for one in bundles:
        alone = [one], len(one.trunk) - 1
        best = GAIN * _slots(*alone), len(found), alone
        for i, (of, shared) in enumerate(found):
            both = min(shared, _shared(of[0].trunk, one.trunk), len(one.trunk) - 1)
            more = _slots([*of, one], both) - _slots(of, shared)
            if more < best[0]:
                best = more, i, ([*of, one], both)
        found[best[1] : best[1] + 1] = [best[2]]
    return [
        Tree(
            of[0].trunk[:shared],
            [one.trunk[shared:] for one in of],
            [one.rest for one in of],
            [one.names for one in of],
        )
        for of, shared in found
    ]


class _Bundle(NamedTuple):
    """Prompts of a group: what they share, what follows it, and their names."""

    trunk: list[int]
    rest: list[list[int]]
    names: list[Name]


def _slots(bundles: Sequence[_Bundle], shared: int) -> int:
    """Slots of a tree whose branches are these, but for padding to buckets."""
    branch = max(len(one.trunk) for one in bundles) - shared
    leaves = max(len(one.rest) for one in bundles)
    leaf = max(len(ids) for one in bundles for ids in one.rest)
    return shared + len(bundles) * (branch + leaves * leaf)


def _trees(prompts: Sequence[list[int]]) -> list[tuple[list[int], list[int], list[list[int]]]]:
    """Places, trunk and rests of prompts; one joins a tree where that halves its cost at least.

    A tree costs its trunk, and for every branch the longest rest, which all are padded to: a prompt
    of ten noise pairs is no branch beside one of none, though they begin alike. Every rest keeps a
    token at least.
    """
    found: list[tuple[list[int], int, int]] = []  # places, shared length, longest prompt
    for place, ids in enumerate(prompts):
        best = len(ids) / 2, len(found), ([place], len(ids) - 1, len(ids))
        for i, (places, shared, longest) in enumerate(found):
            both = min(shared, _shared(prompts[places[0]], ids), len(ids) - 1)
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
