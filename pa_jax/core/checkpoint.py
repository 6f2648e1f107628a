"""Checkpoints through Orbax: written whole, checked before use, the last good one restored.

On file: FOLDER/STEP/ holds Orbax's items `state` (arrays by path) and `meta` (JSON, with a sum of
every array), and, written last, a manifest. A folder without manifest was never finished and does
not count; one whose files or arrays are not what was saved is damaged. FOLDER/.saving-STEP stands
beside a save from its begin to its end, so that one that was cut off is told from one that lost its
manifest.
"""

import concurrent.futures
import contextlib
import dataclasses
import errno
import logging as std_logging
import os
import pathlib
import shutil
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from jax.experimental import multihost_utils

from pa_jax.core import files, leaves, manifest, sums

_TMP = ".orbax-checkpoint-tmp"
_TRIES = 5  # to begin a save beside what is left of a failed one
_GROUP_BYTES = 128 * 2**20
_ROOM, _ROOM_PER_ARRAY = 2**20, 2**12  # for Orbax's own files
_SHOWN = 5
_NONE, _ALL_DAMAGED = -1, -2


class DamagedError(RuntimeError):
    """Checkpoints exist and none of them is intact."""


class OtherModelError(ValueError):
    """The checkpoint holds other arrays than the ones asked for."""


@dataclasses.dataclass(frozen=True)
class Restored:
    """`step`, the state with the shardings asked for, and `meta` as it was saved (after JSON)."""

    step: int
    state: Any
    meta: dict[str, Any]


class Checkpointer:
    """Saves and restores (state, meta) by step in `folder`; the newest `keep` stay.

    The state is any pytree (nnx.State, dict, optax named tuples) whose leaves are jax Arrays,
    typed PRNG keys included. Arrays are named by their path, so dicts, lists and named tuples
    need not be of the same class at restore, only have the same paths. Host values go to `meta`.
    Every process of a multi-host run makes one on the same shared folder and makes the same calls.
    """

    def __init__(self, folder: pathlib.Path, *, keep: int) -> None:
        if keep < 1:
            raise ValueError(f"checkpoint.keep={keep}: at least 1 is kept; set 1 or more.")
        self.folder = folder.absolute()
        self._keep = keep
        self._held: set[int] = set()
        self._damaged: set[int] = set()
        self._pending: concurrent.futures.Future[None] | None = None
        self._finisher = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._quiet = _OnlyWarningsOfOrbax()
        logging.get_absl_logger().addFilter(self._quiet)
        # Uncompressed: weights shrink by 7 %, and compressing costs eight times the CPU time and
        # a second copy of the state in memory.
        arrays = ocp.PyTreeCheckpointHandler(use_compression=False)
        self._orbax = ocp.AsyncCheckpointer(
            ocp.CompositeCheckpointHandler(state=arrays, meta=ocp.JsonCheckpointHandler()),
            async_options=ocp.options.AsyncOptions(create_directories_asynchronously=False),
        )

    def save(self, step: int, state: Any, meta: dict[str, Any]) -> None:
        """Write one checkpoint; the caller may donate the state's buffers once this returns.

        From an accelerator, writing goes on in the background (`wait` ends it). State in host
        memory is written before this returns: a second copy of it would be needed otherwise.
        A step that this object has saved or restored already is left as it is.
        """
        self.wait()
        if step in self._held:
            logging.info("checkpoint of step %d is there already", step)
            return
        arrays = leaves.arrays(state)
        described = {name: leaves.describe(x) for name, x in arrays.items()}
        if jax.process_index() == 0:
            self._remove_leftovers()
        item = {name: leaves.plain(x) for name, x in arrays.items() if x.size}
        record = {"step": step, "state": described, "sums": sums.of(item), "meta": meta}
        args = ocp.args.Composite(state=ocp.args.PyTreeSave(item), meta=ocp.args.JsonSave(record))
        size = sum(x.nbytes + _ROOM_PER_ARRAY for x in item.values()) + _ROOM
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_room(step, size)
        try:
            if jax.process_index() == 0:
                self._mark(step).touch()
            self._begin(step, args)
        except (OSError, ValueError, RuntimeError) as e:
            self._give_up(step, size, e)
            raise
        self._pending = self._finisher.submit(self._finish, step, size, record)
        devices: set[Any] = {d for x in item.values() for d in x.sharding.device_set}
        if any(d.platform == "cpu" for d in devices):
            self.wait()

    def restore(
        self, abstract_state: Any, *, partial: bool = False, step: int | None = None
    ) -> Restored | None:
        """The newest intact checkpoint, or that of `step`; None where there is none.

        `abstract_state` has the shapes, dtypes and shardings wanted (arrays or ShapeDtypeStructs;
        no sharding: the first device). `partial` allows it to hold fewer arrays than the file,
        such as the model without its optimiser. Arrays are read 128 MB at a time, and intact are
        those whose sums on the devices are the ones of before they were written.
        """
        self.wait()
        self._damaged.clear()
        while (found := self._agreed_step(step)) is not None:
            restored, reason = self._restored(found, abstract_state, partial)
            if restored is not None:
                self._held.add(found)
                logging.info("restored step %d from %s", found, self.folder / str(found))
                return restored
            logging.warning("checkpoint %s passed over: %s", self.folder / str(found), reason)
            self._damaged.add(found)
        return None

    def _restored(
        self, step: int, abstract_state: Any, partial: bool
    ) -> tuple[Restored | None, str | None]:
        """The checkpoint of this step, or what is damaged of what was asked of it."""
        path, asked = self.folder / str(step), leaves.named(abstract_state)
        only_meta = ocp.args.Composite(meta=ocp.args.JsonRestore())
        arrays: dict[str, jax.Array] = {}
        try:
            record = self._orbax.restore(path, args=only_meta)["meta"]
            if reason := manifest.other_record(path, record):
                return None, reason
            described = {name: leaves.describe(x) for name, x in asked.items()}
            _check_same(path, record["state"], described, partial)
            for names in _groups(asked):
                arrays |= self._read(path, {name: asked[name] for name in names})
        except (OtherModelError, jax.errors.JaxRuntimeError):
            raise
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as e:
            # The last three are what Orbax makes of names in its JSON that have changed.
            reason = f"it cannot be read ({' '.join(str(e).split())[:200]})"
            if jax.process_count() == 1:
                return None, reason
            raise DamagedError(  # the others may have read it: they cannot be asked from here
                f"checkpoint {path}: {reason}; move it away and start again."
            ) from e
        plain = {name: leaves.plain(x) for name, x in arrays.items() if x.size}
        known = record.get("sums", {})  # none where an older version saved it
        for name, found in sums.of({n: plain[n] for n in plain if n in known}).items():
            if found != known[name]:
                return None, f"{name} differs from what was saved"
        state = jax.tree.unflatten(jax.tree.structure(abstract_state), list(arrays.values()))
        return Restored(step=step, state=state, meta=record["meta"]), None

    def steps(self) -> list[int]:
        """Finished checkpoints, oldest first; damage is not looked for."""
        return [s for s in self._folders() if manifest.finished(self.folder / str(s))]

    def require_manifests(self) -> None:
        """DamagedError where checkpoints are there and all lost theirs: a new run removes them."""
        lost = [f"{step}" for step in self._folders() if not self._mark(step).exists()]
        if lost and not self.steps():
            raise DamagedError(
                f"{self.folder} has checkpoints (steps {', '.join(lost)}) and none has its "
                f"{manifest.NAME}: they were copied without it. Copy them again with all files "
                "(rsync -a), or move the folder away to start afresh; nothing was changed."
            )

    def wait(self) -> None:
        """Return when the last save is finished; raise if it failed."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Wait, and let go of threads."""
        try:
            self.wait()
        finally:
            self._finisher.shutdown()
            self._orbax.close()
            logging.get_absl_logger().removeFilter(self._quiet)

    def _finish(self, step: int, size: int, record: dict[str, Any]) -> None:
        path = self.folder / str(step)
        try:
            self._orbax.wait_until_finished()
            if jax.process_index() == 0:
                manifest.write(path, record)
                self._mark(step).unlink(missing_ok=True)
        except (OSError, ValueError, RuntimeError) as e:
            self._give_up(step, size, e)
            raise
        self._held = {s for s in self._held if s < step} | {step}  # later ones go with `_retire`
        if jax.process_index() == 0:
            self._retire(step)

    def _retire(self, newest: int) -> None:
        """Remove all but the `keep` newest intact ones; later steps are of an abandoned run."""
        self._damaged.discard(newest)
        intact = [s for s in self.steps() if s <= newest and s not in self._damaged]
        kept = intact[-self._keep :]
        for step in self._folders():
            if step not in kept:
                _remove(self.folder / str(step))
                self._mark(step).unlink(missing_ok=True)

    def _begin(self, step: int, args: ocp.args.Composite) -> None:
        """Hands it to Orbax; again where a thread of a failed save made its folder meanwhile."""
        for left in range(_TRIES if jax.process_count() == 1 else 1)[::-1]:
            try:
                self._orbax.save(self.folder / str(step), args=args, force=True)
            except FileExistsError:
                if not left:
                    raise
                self._remove_leftovers()
            else:
                return

    def _remove_leftovers(self) -> None:
        for path in self.folder.glob(f"*{_TMP}*"):
            shutil.rmtree(path, ignore_errors=True)  # a failed save's threads may still be writing

    def _mark(self, step: int) -> pathlib.Path:
        """Is there while a step is being saved, and afterwards where that was cut off."""
        return self.folder / f".saving-{step}"

    def _folders(self) -> list[int]:
        if not self.folder.is_dir():
            return []
        return sorted(int(p.name) for p in self.folder.iterdir() if p.name.isdecimal())

    def _agreed_step(self, wanted: int | None) -> int | None:
        """Process 0 checks the files and tells the others."""
        among = self._folders() if jax.process_index() == 0 else []
        step = self._newest_intact([s for s in among if wanted in (None, s)])
        if jax.process_count() > 1:
            step = int(multihost_utils.broadcast_one_to_all(np.int32(step)))
        if step == _ALL_DAMAGED:
            raise DamagedError(
                f"{self.folder} has checkpoints and none is intact (each is named in the log with "
                "its reason); bring one back from a copy, or move the folder away to start afresh."
            )
        return None if step == _NONE else step

    def _newest_intact(self, among: list[int]) -> int:
        for step in reversed([step for step in among if step not in self._damaged]):
            path = self.folder / str(step)
            if not manifest.finished(path):
                logging.warning("checkpoint %s passed over: it was never finished", path)
                continue
            reason = manifest.damage(path)
            if reason is None:
                return step
            logging.warning("checkpoint %s passed over: %s", path, reason)
            self._damaged.add(step)
        return _ALL_DAMAGED if self._damaged else _NONE

    def _read(self, path: pathlib.Path, asked: dict[str, Any]) -> dict[str, jax.Array]:
        plain = {name: leaves.plain_abstract(x) for name, x in asked.items()}
        item = {name: x for name, x in plain.items() if x.size}
        how = {
            name: ocp.ArrayRestoreArgs(sharding=x.sharding, global_shape=x.shape, dtype=x.dtype)
            for name, x in item.items()
        }
        got = {}
        if item:
            args = ocp.args.PyTreeRestore(item, restore_args=how, partial_restore=True)
            got = self._orbax.restore(path, args=ocp.args.Composite(state=args))["state"]
        # Orbax does not write arrays of size zero.
        empty = {
            name: jax.device_put(np.zeros(x.shape, x.dtype), x.sharding)
            for name, x in plain.items()
            if not x.size
        }
        return {name: leaves.typed((got | empty)[name], x) for name, x in asked.items()}

    def _give_up(self, step: int, size: int, e: BaseException) -> None:
        """Remove the half-written step; raise one clear message where the disk is full."""
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            self._orbax.wait_until_finished()  # its threads may still write; e tells what failed
        if jax.process_index() == 0:
            self._remove_leftovers()
            if not manifest.finished(self.folder / str(step)):
                shutil.rmtree(self.folder / str(step), ignore_errors=True)
                self._mark(step).unlink(missing_ok=True)
        if _disk_full(e):
            raise self._full_disk(step, size) from e

    def _check_room(self, step: int, size: int) -> None:
        """Refuse before anything is written; Orbax halfway into a full disk leaves loose ends."""
        fits = shutil.disk_usage(self.folder).free >= size
        if jax.process_count() > 1:
            fits = bool(multihost_utils.broadcast_one_to_all(np.bool_(fits)))
        if not fits:
            raise self._full_disk(step, size)

    def _full_disk(self, step: int, size: int) -> OSError:
        free = shutil.disk_usage(self.folder).free
        return OSError(
            errno.ENOSPC,
            f"checkpoint of step {step} not written, the disk is full: {free / 2**20:.1f} MiB "
            f"free, {size / 2**20:.1f} needed; free space or lower checkpoint.keep, then resume. "
            f"Steps kept intact: {self.steps()}",
            str(self.folder),
        )


class _OnlyWarningsOfOrbax(std_logging.Filter):
    """Drops Orbax's progress lines, and its tracebacks of errors that are raised to us anyway."""

    def filter(self, record: std_logging.LogRecord) -> bool:
        orbax = f"{os.sep}orbax{os.sep}" in record.pathname
        return not orbax or record.levelno == std_logging.WARNING


def _groups(asked: dict[str, Any]) -> list[list[str]]:
    """Names in order, in groups of about _GROUP_BYTES (Orbax holds a group twice while reading)."""
    groups: list[list[str]] = []
    room = 0
    for name, x in asked.items():
        size = int(np.prod(x.shape)) * x.dtype.itemsize
        if not groups or size > room:
            groups.append([])
            room = _GROUP_BYTES
        groups[-1].append(name)
        room -= size
    return groups


def _check_same(
    path: pathlib.Path, stored: dict[str, str], asked: dict[str, str], partial: bool
) -> None:
    names = asked if partial else sorted(stored.keys() | asked.keys())
    lines = [
        f"{name}: got {stored.get(name, 'nothing')}, expected {asked.get(name, 'nothing')}"
        for name in names
        if stored.get(name) != asked.get(name)
    ]
    if lines:
        more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        raise OtherModelError(
            f"checkpoint {path} is of another model: {'; '.join(lines[:_SHOWN])}{more}. Use the "
            "config it was trained with, or another --workdir."
        )


def _remove(path: pathlib.Path) -> None:
    """Manifest first: killed halfway, the rest counts as never finished."""
    (path / manifest.NAME).unlink(missing_ok=True)
    if path.is_dir():
        files.sync_folder(path)
        shutil.rmtree(path)


def _disk_full(e: BaseException | None) -> bool:
    """Whether the chain of causes holds ENOSPC or EDQUOT, also as TensorStore words it."""
    codes = (errno.ENOSPC, errno.EDQUOT)
    while e is not None:
        if isinstance(e, OSError) and e.errno in codes:
            return True
        if any(os.strerror(c) in str(e) or f"os_error_code='{c}'" in str(e) for c in codes):
            return True
        e = e.__cause__ or e.__context__
    return False
