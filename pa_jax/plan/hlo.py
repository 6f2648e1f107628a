"""A compiled program's text as computations of instructions, and how often each of them runs.

Loops count with their trip count, which the compiler writes beside them; of a branch the dearer
side counts. `cost_analysis()` of JAX counts a loop's body once.
"""

import dataclasses
import json
import math
import re
from collections.abc import Iterator

BYTES = {
    "pred": 1,
    "token": 0,
    "opaque": 0,
    "s4": 0.5,
    "u4": 0.5,
    "bf16": 2,
    "c64": 8,
    "c128": 16,
}
_SHAPE = re.compile(r"([a-z]\w*)\[([\d,]*)\](\{[^}]*\})?")
_NAME = re.compile(r"%?([\w.\-]+) = ")
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_OPERAND = re.compile(r"%([\w.\-]+)")


@dataclasses.dataclass(frozen=True)
class Shape:
    """One array of an instruction's result; `hbm` is False where it lies in on-chip memory."""

    dtype: str
    dims: tuple[int, ...]
    hbm: bool

    @property
    def size(self) -> int:
        return math.prod(self.dims)

    @property
    def bytes(self) -> float:
        digits = re.search(r"\d+", self.dtype)
        width = BYTES.get(self.dtype)
        if width is None:
            width = int(digits.group()) / 8 if digits else 0
        return float(self.size * width)


@dataclasses.dataclass(frozen=True)
class Instruction:
    """`shapes` are the result's arrays, tuples flattened; `rest` is what follows the operands."""

    name: str
    op: str
    shapes: tuple[Shape, ...]
    operands: tuple[str, ...]
    inside: str
    rest: str
    root: bool

    def called(self, key: str) -> str:
        """The computation that attribute `key` (calls, body, to_apply) names, "" if none."""
        found = re.search(rf"\b{key}=%?([\w.\-]+)", self.rest)
        return found.group(1) if found else ""

    @property
    def branches(self) -> list[str]:
        """A conditional's computations."""
        listed = re.search(r"branch_computations=\{([^}]*)\}", self.rest)
        if listed:
            return [name.strip().lstrip("%") for name in listed.group(1).split(",")]
        return [c for c in map(self.called, ("true_computation", "false_computation")) if c]

    @property
    def label(self) -> str:
        """Where in the source it comes from, as JAX wrote it down; empty if unknown."""
        found = re.search(r'op_name="([^"]*)"', self.rest)
        return found.group(1) if found else ""


@dataclasses.dataclass(frozen=True)
class Computation:
    name: str
    by_name: dict[str, Instruction]

    def __iter__(self) -> Iterator[Instruction]:
        return iter(self.by_name.values())

    @property
    def root(self) -> Instruction:
        return next(i for i in self if i.root)

    def shapes_of(self, instruction: Instruction) -> list[tuple[Shape, ...]]:
        """The shapes of each operand."""
        return [self.by_name[n].shapes for n in instruction.operands if n in self.by_name]


@dataclasses.dataclass(frozen=True)
class Program:
    entry: str
    computations: dict[str, Computation]

    def trips(self, loop: Instruction) -> int | None:
        """How often a `while` runs, None where that is not written down.

        Beside the loop (CPU, GPU), or as the bound in its condition (TPU), counted from 0 by 1 as
        `jax.lax.scan` does.
        """
        found = re.search(r'"known_trip_count":(\{[^}]*\})', loop.rest)
        if found:
            return int(json.loads(found.group(1))["n"])
        condition = self.computations[loop.called("condition")]
        root = condition.root
        if root.op != "compare" or "direction=LT" not in root.rest:
            return None
        bound = condition.by_name[root.operands[1]]
        return int(bound.inside) if bound.op == "constant" else None


def parse(text: str) -> Program:
    """The program of `compiled.as_text()`; ValueError if it has no entry."""
    computations: dict[str, Computation] = {}
    entry: str | None = None
    name: str | None = None
    found: dict[str, Instruction] = {}
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            name, found = head.group(2), {}
            entry = name if head.group(1) else entry
        elif line == "}" and name is not None:
            computations[name] = Computation(name, found)
            name = None
        elif name is not None:
            made = _instruction(line)
            if made is not None:
                found[made.name] = made
    if entry is None:
        raise ValueError(
            f"no ENTRY computation in {len(text)} characters of program text; give what "
            "compiled.as_text() returns."
        )
    return Program(entry, computations)


def _instruction(line: str) -> Instruction | None:
    line = re.sub(r"/\*.*?\*/", "", line.strip())
    root = line.startswith("ROOT ")
    line = line.removeprefix("ROOT ")
    named = _NAME.match(line)
    if named is None:
        return None
    rest = line[named.end() :]
    end = _closed(rest, 0) + 1 if rest.startswith("(") else rest.index(" ")
    kind, rest = rest[:end], rest[end:].lstrip()
    start = rest.index("(")
    stop = _closed(rest, start)
    inside = rest[start + 1 : stop]
    return Instruction(
        name=named.group(1),
        op=rest[:start],
        shapes=tuple(
            Shape(d, tuple(int(n) for n in dims.split(",") if n), "S(" not in (layout or ""))
            for d, dims, layout in _SHAPE.findall(kind)
        ),
        operands=tuple(_OPERAND.findall(inside)),
        inside=inside,
        rest=rest[stop + 1 :],
        root=root,
    )


def _closed(text: str, start: int) -> int:
    """Index of the bracket that closes the one at `start`."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return i
    raise ValueError(f"unclosed bracket in {text[:80]!r}; the program text is cut.")
