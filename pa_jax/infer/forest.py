"""Token sequences packed into rows as a forest: every common beginning of a row is stored once.

GRPO reads one prompt before each of G completions, a judge reads one turn before each of G notes,
and all prompts begin with the same instructions. As flat sequences most tokens of such a batch are
computed over and over. Here a row is the trie of its sequences (its paths), written depth first, a
token a slot. Of the four sequences S a x y, S a x z, S b x and S b y it is

    slot:      0  1  2  3  4  5  6  7
    token:     S  a  x  y  z  b  x  y
    end:       8  5  5  4  5  8  7  8
    position:  0  1  2  3  3  1  2  2

`end` is the slot behind the subtree of a token's node. Depth first, the slots from k up to end[k]
hold k and what lies below it, and nothing else. So token q sees token k if and only if
k <= q < end[k] (models/attention.py): its own beginning, whatever else the row holds. `position` is
the depth along the path, for RoPE; with the slot in its place, distances within a path would grow
by what its siblings take. These two make each path, forward and backward, what it would be alone,
to rounding. There is no other mask. Token values say nothing: an id that pads here is a word
elsewhere. Padding stands behind all real tokens and ends right behind itself, so it sees itself
alone and nobody sees it.

What is asked of a row is a list of places: the slot whose hidden state predicts, and the token it
should predict. A path's last token that nothing is to follow need not stand in the row itself, and
equal wants of two paths are one place: equal candidates are scored once, without anybody's doing.

Nobody builds trees. Callers hand in plain sequences (`follows`, `state_of`); `pack` sorts them, and
of sorted sequences none shares more of a path than its neighbour does. What goes where hangs on the
sequences alone, so that a resumed run packs as the first one did.
"""

import bisect
import collections
import dataclasses
import itertools
from collections.abc import Sequence

import jax
import numpy as np

from pa_jax.core import sharding
from pa_jax.core.typing import Array, Int
from pa_jax.models import flops

CALL = 64  # slots that one more row costs, whatever its length
LENGTHS = (64, 128, 256, 512, 768, 1024, 1280, 1536, 2048, 3072, 4096, 6144, 8192, 16384)


@dataclasses.dataclass(frozen=True)
class Path:
    """ids as they stand in the row; target j is to be predicted by ids[len(ids) - n + j] of n."""

    ids: tuple[int, ...]
    targets: tuple[int, ...]


def follows(context: Sequence[int], continuation: Sequence[int]) -> Path:
    """The path whose targets are the tokens of `continuation`, after `context`."""
    if not context:
        raise ValueError("an empty context: it needs at least one token (a BOS or a newline).")
    return Path((*context, *continuation[:-1]), tuple(continuation))


def state_of(ids: Sequence[int]) -> Path:
    """The path whose last token's state is wanted: for the probabilities of what comes next."""
    if not len(ids):
        raise ValueError("no tokens: a state is that of at least one.")
    return Path(tuple(ids), (0,))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Forest:
    """Packed rows, on the host or on devices.

    end       slot behind the last token of each token's subtree; of padding, behind itself
    position  depth along the path, for RoPE
    at        slots of the states that predict; real ones first
    token     what they should predict
    wanted    how many of a row's places are real
    """

    ids: Int[Array | np.ndarray, "*b t"]
    end: Int[Array | np.ndarray, "*b t"]
    position: Int[Array | np.ndarray, "*b t"]
    at: Int[Array | np.ndarray, "*b w"]
    token: Int[Array | np.ndarray, "*b w"]
    wanted: Int[Array | np.ndarray, "*b"]

    def put(self, mesh: jax.sharding.Mesh | None, *axes: str | None) -> "Forest":
        """On the devices, the leading axes cut as named; every process passes the whole."""
        return jax.tree.map(lambda x: sharding.put(x, mesh, *axes), self)


@dataclasses.dataclass(frozen=True)
class Packed:
    """Rows of a few lengths, and where each path's places are.

    rows    one Forest a row, without leading axes
    places  [tree][path] -> (row, places in that row, one a target)
    tokens  real slots of all rows
    """

    rows: list[Forest]
    places: list[list[tuple[int, np.ndarray]]]
    tokens: int

    @property
    def slots(self) -> int:
        """All slots, padding included."""
        return sum(row.ids.shape[-1] for row in self.rows)

    @property
    def size(self) -> flops.Size:
        """What a pass over the rows costs."""
        pairs = flops.visible_pairs([np.asarray(row.end) for row in self.rows], self.tokens)
        return flops.Size(self.tokens, pairs, sum(int(row.wanted) for row in self.rows))


def row_lengths(lengths: Sequence[int], key: str) -> tuple[int, ...]:
    """The lengths as a tuple; ValueError where they are no whole numbers above 0, or none."""
    if not lengths or not all(isinstance(n, int | np.integer) and n > 0 for n in lengths):
        raise ValueError(
            f"{key}={tuple(lengths)}: at least one length is needed, each a whole number of tokens."
        )
    return tuple(lengths)


def fit(length: int, lengths: Sequence[int], *, what: str) -> int:
    """The smallest of `lengths` that holds `length`; ValueError names the largest allowed."""
    for allowed in sorted(lengths):
        if length <= allowed:
            return allowed
    raise ValueError(
        f"{what} of {length} tokens, at most {max(lengths)} are allowed; shorten it or add a "
        "larger length."
    )


def shared(a: np.ndarray, b: np.ndarray) -> int:
    """Length of the common beginning of two sequences."""
    n = min(len(a), len(b))
    differs = a[:n] != b[:n]
    first = int(differs.argmax()) if n else 0
    return first if n and differs[first] else n


def common(sequences: Sequence[Sequence[int]]) -> int:
    """Length of the beginning that all sequences share: that of the first and last, sorted."""
    first, last = (np.asarray(of(sequences, key=list)) for of in (min, max))
    return shared(first, last)


class _Sorted:
    """Paths in the order in which a row emits them."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.paths: list[tuple[np.ndarray, Path, tuple[int, int]]] = []

    def add(self, key: bytes, entry: tuple[np.ndarray, Path, tuple[int, int]]) -> None:
        at = bisect.bisect(self.keys, key)
        self.keys.insert(at, key)
        self.paths.insert(at, entry)

    def shares(self, key: bytes, ids: np.ndarray) -> int:
        """The longest beginning that `ids` shares with a path that is here."""
        at = bisect.bisect(self.keys, key)
        return max((shared(ids, p[0]) for p in self.paths[max(at - 1, 0) : at + 1]), default=0)


class _Row(_Sorted):
    """A row that is being filled; `used` slots and at most `wants` places."""

    def __init__(self) -> None:
        super().__init__()
        self.used = self.wants = 0

    @property
    def size(self) -> int:
        """What a row must hold: it has as many places as slots."""
        return max(self.used, self.wants)

    def takes(self, unit: "_Unit", room: int) -> int | None:
        """Slots that the unit would add, None where it does not fit.

        At most so many: of its paths only the first is compared with those that are here.
        """
        if not self.may_take(unit.least, unit.wants, room):
            return None
        added = unit.used - self.shares(unit.keys[0], unit.paths[0][0])
        return added if self.used + added <= room else None

    def may_take(self, slots: int, wants: int, room: int) -> bool:
        """Whether so much more has room."""
        return self.used + slots <= room and self.wants + wants <= room

    def take(self, unit: "_Unit", added: int) -> None:
        for key, entry in zip(unit.keys, unit.paths, strict=True):
            self.add(key, entry)
        self.used, self.wants = self.used + added, self.wants + unit.wants


class _Unit(_Sorted):
    """Paths of one tree that go into one row; their slots without what others share."""

    used = wants = 0

    @property
    def least(self) -> int:
        """Slots that it adds to a row at least, which holds all of its first path already."""
        return self.used - len(self.paths[0][0])

    def grow(self, key: bytes, entry: tuple[np.ndarray, Path, tuple[int, int]], room: int) -> bool:
        """Takes the next path in order, unless that is more than a row holds."""
        ids, path, _ = entry
        added, wants = len(ids), len(path.targets)
        if self.paths:
            before, other, _ = self.paths[-1]
            common = shared(ids, before)
            added, wants = added - common, wants - _alike(path, other, common)
        if self.used + added > room or self.wants + wants > room:
            return False
        self.keys.append(key)
        self.paths.append(entry)
        self.used, self.wants = self.used + added, self.wants + wants
        return True


def _alike(path: Path, other: Path, common: int) -> int:
    """How many wants of two paths are one place: the same token after the same beginning."""
    first, others = (len(each.ids) - len(each.targets) for each in (path, other))
    both = range(max(first, others), common)
    return sum(path.targets[at - first] == other.targets[at - others] for at in both)


def pack(
    trees: Sequence[Sequence[Path]],
    lengths: Sequence[int] = LENGTHS,
    *,
    even: bool = False,
    shards: int = 1,
    key: str = "lengths",
) -> Packed:
    """Trees in rows of the given lengths, several a row where they fit.

    A tree's paths should share their beginning; they stay together unless they fill more than one
    row. Of the lengths, the one is filled that takes the fewest slots, where `shards` rows of one
    length go through a model at a time; then each row takes the smallest that holds it, or all the
    same where they are to be `even`. `key` names the config key in the message for a path that is
    longer than all.
    """
    best: tuple[int, list[_Row], list[int]] = 0, [], []
    longest = max((len(path.ids) for tree in trees for path in tree), default=1)
    least = fit(longest, lengths, what=f"a path (see {key})")
    ordered = [_ordered(i, tree) for i, tree in enumerate(trees)]
    for room in sorted(n for n in lengths if n >= least):
        rows = _filled(_units(ordered, room), room)
        took = [room if even else fit(row.size, lengths, what="row") for row in rows]
        of_length = collections.Counter(took).items()
        cost = sum(-(-count // shards) * (length + CALL) for length, count in of_length)
        if not best[0] or cost <= best[0]:
            best = cost, rows, took
        if len(rows) == 1:
            break  # a longer row would hold the same tokens and more padding
    _, rows, took = best
    places = [[(0, np.zeros(0, np.int32))] * len(tree) for tree in trees]
    made, tokens = [], 0
    for number, (row, length) in enumerate(zip(rows, took, strict=True)):
        emitted, used = _emitted(row, length, number, places)
        made.append(emitted)
        tokens += used
    return Packed(made, places, tokens)


Entries = list[tuple[bytes, tuple[np.ndarray, Path, tuple[int, int]]]]


def _ordered(i: int, tree: Sequence[Path]) -> Entries:
    """The paths of tree i that want something, as a row emits them."""
    entries = []
    for j, path in enumerate(tree):
        if path.targets:
            ids = np.asarray(path.ids, np.int32)
            # big-endian, so that the bytes sort as the tokens do
            entries.append((ids.astype(">u4").tobytes(), (ids, path, (i, j))))
    return sorted(entries, key=lambda entry: entry[0])


def _units(ordered: Sequence[Entries], room: int) -> list[_Unit]:
    """Each tree's paths in order, cut where they are more than a row holds."""
    units = []
    for entries in ordered:
        unit = _Unit()
        for key, entry in entries:
            if not unit.grow(key, entry, room):
                units.append(unit)
                unit = _Unit()
                if not unit.grow(key, entry, room):
                    raise ValueError(
                        f"{len(entry[1].targets)} wanted tokens of one path, at most {room}."
                    )
        if unit.paths:
            units.append(unit)
    return units


def _filled(units: list[_Unit], room: int) -> list[_Row]:
    """Best fit, the largest units first: where most is shared, then where least room is left.

    A row that is too full for all units to come is not looked at again: of many prompts nearly all
    rows are.
    """
    rows: list[_Row] = []
    open_rows: list[_Row] = []
    units = sorted(units, key=lambda unit: (-unit.used, unit.keys[0]))
    slots, wants = (
        list(itertools.accumulate(reversed(sizes), min))[::-1]
        for sizes in ([unit.least for unit in units], [unit.wants for unit in units])
    )
    # Behind the last unit nothing has room.
    rest = zip([*slots, room + 1][1:], [*wants, 0][1:], strict=True)
    for unit, (least, wanted) in zip(units, rest, strict=True):
        fits = [(added, row.used, k) for k, row in enumerate(open_rows)
                if (added := row.takes(unit, room)) is not None]  # fmt: skip
        if fits:
            added, _, k = min(fits, key=lambda fit: (fit[0], -fit[1]))
            row = open_rows[k]
        else:
            added, row = unit.used, _Row()
            rows.append(row)
            open_rows.append(row)
        row.take(unit, added)
        if not row.may_take(least, wanted, room):
            open_rows.remove(row)
    return rows


@dataclasses.dataclass(frozen=True)
class LaidOut:
    """Sequences laid out in one row; `slots` are those of each sequence's tokens, by depth."""

    ids: np.ndarray
    end: np.ndarray
    position: np.ndarray
    slots: list[np.ndarray]
    used: int


def laid_out(sequences: Sequence[np.ndarray], length: int) -> LaidOut:
    """Sorted sequences depth first, what one shares with the one before it stored once."""
    ids, position = np.zeros(length, np.int32), np.zeros(length, np.int32)
    end = np.arange(1, length + 1, dtype=np.int32)
    slots, before, used = np.zeros(0, np.int32), np.zeros(0, np.int32), 0
    of_all = []
    for sequence in sequences:
        depth = shared(before, sequence)
        # What the sequence before has below the common beginning gets no more descendants: those
        # subtrees end here. The beginning itself stays open until its last sequence is written.
        end[slots[depth:]] = used
        new = np.arange(used, used + len(sequence) - depth, dtype=np.int32)
        ids[new], position[new] = sequence[depth:], np.arange(depth, len(sequence))
        slots, before, used = np.concatenate([slots[:depth], new]), sequence, used + len(new)
        of_all.append(slots)
    end[slots] = used
    return LaidOut(ids, end, position, of_all, used)


def _emitted(
    row: _Row, length: int, number: int, places: list[list[tuple[int, np.ndarray]]]
) -> tuple[Forest, int]:
    """The row's tokens, and how many; fills in the places of its paths."""
    made = laid_out([ids for ids, _, _ in row.paths], length)
    at, token = np.zeros(length, np.int32), np.zeros(length, np.int32)
    wanted: dict[tuple[int, int], int] = {}
    for (_, path, (i, j)), slots in zip(row.paths, made.slots, strict=True):
        asked = zip(slots[len(slots) - len(path.targets) :].tolist(), path.targets, strict=True)
        # (slot, token) names a place, so what two paths ask alike is one, numbered as it first came
        of_path = [wanted.setdefault(one, len(wanted)) for one in asked]
        places[i][j] = number, np.array(of_path, np.int32)
    for (slot, target), place in wanted.items():
        at[place], token[place] = slot, target
    return Forest(
        made.ids, made.end, made.position, at, token, np.array(len(wanted), np.int32)
    ), made.used


def stacked(rows: Sequence[Forest], count: int, *, length: int | None = None) -> Forest:
    """Rows of one length as [count, t], empty ones behind; `length` where there may be none."""
    length = length or rows[0].ids.shape[-1]
    zero = np.zeros(length, np.int32)
    empty = Forest(
        zero, np.arange(1, length + 1, dtype=np.int32), zero, zero, zero, np.array(0, np.int32)
    )
    rows = [*rows, *[empty] * (count - len(rows))]
    return jax.tree.map(lambda *each: np.stack(each), *rows)
