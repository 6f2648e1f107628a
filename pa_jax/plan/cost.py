"""What one run of a compiled program does on a chip: FLOPs, HBM bytes, bytes between chips.

FLOPs are those of products and convolutions (2abc); Pallas kernels hide theirs and are only
counted. HBM bytes are the arrays that instructions read and write outside on-chip memory; of an
array that is only sliced or updated in place, the slice. Bytes between chips are what one chip
sends in a ring.
"""

import collections
import dataclasses
import functools
import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from pa_jax.plan import hlo

FREE = {
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id",
    "replica-id", "iota", "opt-barrier", "domain", "broadcast-constant", "add-dependency",
}  # fmt: skip
COLLECTIVES = (
    "all-gather", "all-reduce", "reduce-scatter", "all-to-all", "ragged-all-to-all",
    "collective-permute", "collective-broadcast",
)  # fmt: skip
SLICES = ("dynamic-slice", "slice", "gather")
THROUGH = ("bitcast", "copy", "convert", "reshape")  # a slice of the result is one of the operand


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one run: `sent` bytes by collective, `kernels` Pallas calls by name.

    `loops` are the bodies, run once, of outer loops whose length the compiler does not know; they
    are not in the other figures, but in those of `running`.
    """

    flops: float
    hbm_bytes: float
    sent: Mapping[str, float]
    kernels: Mapping[str, int]
    loops: tuple["Cost", ...]

    @property
    def ici_bytes(self) -> float:
        return float(sum(self.sent.values()))

    def running(self, trips: Sequence[int]) -> "Cost":
        """The cost where the outer of those loops run trips[0] times, those in them trips[1], ...

        Loops that lie deeper than there are trips stay apart.
        """
        if not trips:
            return self
        bodies = [loop.running(trips[1:]) for loop in self.loops]
        sent, kernels = collections.Counter(self.sent), collections.Counter(self.kernels)
        for body in bodies:
            for total, more in ((sent, body.sent), (kernels, body.kernels)):
                total.update({name: trips[0] * value for name, value in more.items()})
        return Cost(
            self.flops + trips[0] * sum(body.flops for body in bodies),
            self.hbm_bytes + trips[0] * sum(body.hbm_bytes for body in bodies),
            dict(sent),
            dict(kernels),
            tuple(loop for body in bodies for loop in body.loops),
        )


def of_text(text: str, *, dearer: bool = True) -> Cost:
    """The cost of a program as `compiled.as_text()` gives it; of branches the dearer or cheaper."""
    program = hlo.parse(text)
    return _Walk(program, program.entry, dearer).total


class _Walk:
    def __init__(self, program: hlo.Program, name: str, dearer: bool) -> None:
        self.program, self.dearer = program, dearer
        self.choose = max if dearer else min
        self.flops, self.hbm = 0.0, 0.0
        self.loops: list[Cost] = []
        self.sent: dict[str, float] = collections.defaultdict(float)
        self.kernels: dict[str, int] = collections.Counter()
        self.channels: set[str] = set()  # of one run of a computation
        self._run(name, 1)

    @property
    def total(self) -> Cost:
        sent, kernels = dict(self.sent), dict(self.kernels)
        return Cost(self.flops, self.hbm, sent, kernels, tuple(self.loops))

    def _alone(self, name: str) -> Cost:
        return _Walk(self.program, name, self.dearer).total

    def _run(self, name: str, times: int) -> None:
        """Add `times` runs of a computation."""
        inside = self.program.computations[name]
        outer, self.channels = self.channels, set()
        for each in inside:
            if each.op in FREE or each.op.endswith("-done"):
                continue
            if each.op == "while":
                trips = self.program.trips(each)
                if trips is None:
                    self.loops.append(self._alone(each.called("body")))
                else:
                    self._run(each.called("body"), times * trips)
            elif each.op == "conditional":
                self._run(self.choose(each.branches, key=self._weight), times)
            elif each.op == "call" or each.op == "async-start":
                self._run(each.called("to_apply") or each.called("calls"), times)
            else:
                self.hbm += times * self._bytes(inside, each)
                self._products(inside, each, times)
        self.channels = outer

    def _weight(self, name: str) -> tuple[float, float]:
        alone = self._alone(name)
        return alone.flops, alone.hbm_bytes

    def _products(self, inside: hlo.Computation, each: hlo.Instruction, times: int) -> None:
        """Add an instruction's FLOPs, sent bytes and kernels, into fusions as well."""
        if each.op == "fusion":
            called = self.program.computations[each.called("calls")]
            scatter = "all-reduce-scatter" in called.name
            for one in called:
                if scatter and one.op == "all-reduce" and self._fresh(one):
                    self.sent["reduce-scatter"] += times * _scattered(called, one)
                else:
                    self._products(called, one, times)
        elif each.op == "dot":
            self.flops += times * dot_flops(inside, each)
        elif each.op == "convolution":
            self.flops += times * convolution_flops(inside, each)
        elif each.op == "custom-call" and "tpu_custom_call" in each.rest:
            self.kernels[
                each.label.removesuffix("/pallas_call").rpartition("/")[2] or each.name
            ] += times
        elif each.op.removesuffix("-start") in COLLECTIVES and self._fresh(each):
            self.sent[each.op.removesuffix("-start")] += times * sent_bytes(inside, each)

    def _fresh(self, each: hlo.Instruction) -> bool:
        """False where fusions that go on with one collective name it again."""
        channel = re.search(r"channel_id=(\d+)", each.rest)
        if channel is None:
            return True
        seen = channel.group(1) in self.channels
        self.channels.add(channel.group(1))
        return not seen

    def _bytes(self, inside: hlo.Computation, each: hlo.Instruction) -> float:
        read = [sum(s.bytes for s in kind if s.hbm) for kind in inside.shapes_of(each)]
        made = sum(s.bytes for s in each.shapes if s.hbm)
        if each.op in SLICES:
            return 2 * made
        if each.op == "dynamic-update-slice":
            return 2 * (read[1] if len(read) > 1 else made)
        if each.op.removesuffix("-start") in SLICES:  # (whole, slice, ...)
            whole, part = each.shapes[:2]
            return part.bytes * (whole.hbm + part.hbm)
        if each.op.endswith("-start"):  # the result names the operands again
            return made
        if each.op != "fusion":
            return sum(read) + made
        called = self.program.computations[each.called("calls")]
        total = _written(called, made)
        for number, full in enumerate(read):
            total += self._read(called, number, full) if full else 0.0
        return total

    def _read(self, inside: hlo.Computation, number: int, full: float) -> float:
        """Bytes of a fusion's parameter that are read: its slices where nothing else uses it."""
        parameter = next(i for i in inside if i.op == "parameter" and i.inside == str(number))
        width = full / max(sum(s.size for s in parameter.shapes), 1)  # bytes an element
        total, names = 0.0, [parameter.name]
        while names:
            name = names.pop()
            for user in (one for one in inside if name in one.operands):
                at = user.operands.index(name)
                if user.op in SLICES and at == 0:
                    total += sum(s.size for s in user.shapes) * width
                elif user.op == "dynamic-update-slice" and at == 0:
                    continue  # in place
                elif user.op in THROUGH and not user.root:
                    names.append(user.name)
                elif user.op == "fusion":
                    inner = self.program.computations[user.called("calls")]
                    if not user.root and _renames(inner, at):
                        names.append(user.name)
                    else:
                        total += self._read(inner, at, full)
                else:
                    return full
        return min(total, full)


def _renames(inside: hlo.Computation, number: int) -> bool:
    """Whether a fusion only gives its parameter another layout or type.

    Inside another fusion nothing of it is made but what is asked for: XLA for TPU puts a copy of
    all int8 layers before the slice that takes one of them.
    """
    one = inside.root
    while one.op in THROUGH:
        one = inside.by_name[one.operands[0]]
    return one.op == "parameter" and one.inside == str(number)


def _written(inside: hlo.Computation, made: float) -> float:
    """Bytes that a fusion writes: the update where its root only updates an array in place."""
    root = inside.root
    while root.op in THROUGH and root.operands:
        root = inside.by_name[root.operands[0]]
    if root.op == "dynamic-update-slice":
        full = sum(s.bytes for s in root.shapes)
        return made * sum(s.bytes for s in inside.by_name[root.operands[1]].shapes) / max(full, 1)
    if root.op == "tuple":
        parts = [inside.by_name[name] for name in root.operands]
        full = sum(s.bytes for part in parts for s in part.shapes)
        kept = sum(_written_part(inside, part) for part in parts)
        return made * kept / max(full, 1)
    return made


def _written_part(inside: hlo.Computation, part: hlo.Instruction) -> float:
    if part.op == "dynamic-update-slice":
        part = inside.by_name[part.operands[1]]
    return sum(s.bytes for s in part.shapes)


def dot_flops(inside: hlo.Computation, dot: hlo.Instruction) -> float:
    """2 x elements of the result x contracted length."""
    left = inside.by_name[dot.operands[0]].shapes[0].dims
    found = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", dot.rest)
    contracted = [left[int(i)] for i in found.group(1).split(",") if i] if found else []
    return 2.0 * dot.shapes[0].size * float(np.prod(contracted))


def convolution_flops(inside: hlo.Computation, conv: hlo.Instruction) -> float:
    """2 x elements of the result x kernel elements that meet each, padding and holes left out.

    XLA for TPU writes every product as a convolution, batched ones with a window over the batch.
    """
    left, right = (inside.by_name[name].shapes[0].dims for name in conv.operands[:2])
    [(lhs, rhs, out)] = re.findall(r"dim_labels=(\w+)_(\w+)->(\w+)", conv.rest)[:1]
    groups = _number(conv.rest, "batch_group_count", 1)
    window = _window(conv.rest)
    total = 2.0 * conv.shapes[0].dims[out.index("b")] * conv.shapes[0].dims[out.index("f")]
    total *= right[rhs.index("i")] / groups * (groups if groups > 1 else 1)
    for spatial in sorted(c for c in out if c.isdigit()):
        total *= _meetings(
            left[lhs.index(spatial)],
            right[rhs.index(spatial)],
            conv.shapes[0].dims[out.index(spatial)],
            {key: values[int(spatial)] for key, values in window.items()},
        )
    return total


@functools.cache
def _pairs(base: int, kernel: int, out: int, low: int, stride: int, holes: int, apart: int) -> int:
    at = np.arange(out)[:, None] * stride - low + np.arange(kernel)[None, :] * apart
    return int(np.sum((at >= 0) & (at % holes == 0) & (at // holes < base)))


def _meetings(base: int, kernel: int, out: int, window: Mapping[str, tuple[int, ...]]) -> int:
    """(kernel, result) positions of one dimension that meet an element of the left side."""
    low = window.get("pad", (0, 0))[0]
    stride, holes, apart = (window.get(k, (1,))[0] for k in ("stride", "lhs_dilate", "rhs_dilate"))
    if kernel == 1 and not low and stride == holes == 1:
        return out
    return _pairs(base, kernel, out, low, stride, holes, apart)


def _window(rest: str) -> dict[str, list[tuple[int, ...]]]:
    found = re.search(r"window=\{([^}]*)\}", rest)
    fields = dict(part.split("=") for part in found.group(1).split()) if found else {}
    return {
        key: [tuple(int(n) for n in one.split("_")) for one in value.split("x")]
        for key, value in fields.items()
        if key in ("size", "stride", "pad", "lhs_dilate", "rhs_dilate")
    }


def _number(rest: str, key: str, otherwise: int) -> int:
    found = re.search(rf"\b{key}=(\d+)", rest)
    return int(found.group(1)) if found else otherwise


def group_size(rest: str) -> int:
    """Chips that take part in one group of a collective; 0 where it does not say."""
    found = re.search(r"replica_groups=\[(\d+),(\d+)\]", rest)
    if found:
        return int(found.group(2))
    found = re.search(r"replica_groups=mesh\[([^\]]*)\][^{]*\{([^}]*)\}", rest)
    if found:
        sizes = dict(part.split("=") for part in found.group(1).split(","))
        return math.prod(int(sizes[name]) for name in found.group(2).split(","))
    found = re.search(r"replica_groups=\{\{([\d,]*)\}", rest)
    return len(found.group(1).split(",")) if found else 0


def sent_bytes(inside: hlo.Computation, each: hlo.Instruction) -> float:
    """Bytes that one chip sends for a collective in a ring of its group."""
    given = sum(s.bytes for kind in inside.shapes_of(each) for s in kind)
    kind = each.op.removesuffix("-start")
    if kind in ("collective-permute", "collective-broadcast"):
        return given
    n = group_size(each.rest)
    if n < 2:
        return 0.0
    return {
        "all-gather": given * (n - 1),
        "all-reduce": 2 * given * (n - 1) / n,
        "reduce-scatter": given * (n - 1) / n,
        "all-to-all": given * (n - 1) / n,
        "ragged-all-to-all": given * (n - 1) / n,
    }[kind]


def _scattered(inside: hlo.Computation, each: hlo.Instruction) -> float:
    """A sum of which each chip keeps its part, as XLA for TPU writes it."""
    return sent_bytes(inside, each) / 2
