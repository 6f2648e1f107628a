import errno
import hashlib
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import pytest
from absl import logging

from pa_jax.core import checkpoint

SHAPE = {"w": jax.ShapeDtypeStruct((5000,), jnp.float32)}


def state(step):
    return {"w": jnp.full(5000, step, jnp.float32)}


@pytest.fixture
def folder(tmp_path):
    """Two good checkpoints, of steps 10 and 20."""
    saver = checkpoint.Checkpointer(tmp_path / "ckpt", keep=2)
    for step in (10, 20):
        saver.save(step, state(step), {"at": step})
    saver.close()
    return tmp_path / "ckpt"


@pytest.fixture
def absl_log(caplog):
    absl, before = logging.get_absl_logger(), logging.get_absl_logger().propagate
    absl.propagate = True
    with caplog.at_level("WARNING"):
        yield caplog
    absl.propagate = before


def restored(folder):
    saver = checkpoint.Checkpointer(folder, keep=2)
    try:
        return saver.restore(SHAPE)
    finally:
        saver.close()


def largest(folder):
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def truncate(folder):
    path = largest(folder)
    path.write_bytes(path.read_bytes()[:-1])
    return f"{path.relative_to(folder).as_posix()} has"


def flip_bit(folder):
    path = largest(folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return "w differs from what was saved"


def lose_file(folder):
    (folder / "meta" / "metadata").unlink()
    return "meta/metadata is missing"


def break_manifest(folder):
    path = folder / "MANIFEST.json"
    path.write_bytes(path.read_bytes()[:-5])
    return "MANIFEST.json cannot be read"


def never_finish(folder):
    (folder / "MANIFEST.json").unlink()
    return "never finished"


DAMAGES = [truncate, flip_bit, lose_file, break_manifest]


@pytest.mark.parametrize("damage", [*DAMAGES, never_finish])
def test_damage_is_named_and_the_last_good_one_used(folder, damage, absl_log):
    reason = damage(folder / "20")
    got = restored(folder)
    assert (got.step, got.meta) == (10, {"at": 10})
    assert set(got.state["w"].tolist()) == {10.0}
    [line] = [r.message for r in absl_log.records]
    assert str(folder / "20") in line
    assert reason in line


@pytest.mark.parametrize("damage", DAMAGES)
def test_all_damaged_is_an_error_not_a_fresh_start(folder, damage):
    damage(folder / "10")
    damage(folder / "20")
    with pytest.raises(checkpoint.DamagedError, match="none is intact"):
        restored(folder)
    assert {p.name for p in folder.iterdir()} == {"10", "20"}


def test_training_on_from_the_last_good_one_replaces_the_damaged(folder):
    flip_bit(folder / "20")
    saver = checkpoint.Checkpointer(folder, keep=2)
    assert saver.restore(SHAPE).step == 10
    saver.save(15, state(15), {})
    saver.wait()
    assert saver.steps() == [10, 15]
    saver.save(20, state(20), {"again": True})
    saver.close()
    assert restored(folder).meta == {"again": True}


def test_a_damaged_older_one_does_not_push_a_good_one_out(folder):
    flip_bit(folder / "20")
    saver = checkpoint.Checkpointer(folder, keep=2)
    assert saver.restore(SHAPE).step == 10
    saver.save(30, state(30), {})
    saver.wait()
    assert saver.steps() == [10, 30]
    saver.close()


def test_a_byte_flipped_anywhere_is_found_or_does_not_matter(folder, root):
    """In every file, the manifest among them."""
    command = [sys.executable, "-m", "tests.core.flips", str(folder), "20", "**/*", "5000"]
    out = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert json.loads(out)["10"] > 10


def test_a_checkpoint_of_before_is_still_checked_and_restored(folder):
    """Its manifest has a sha256 of every file, its record no sums."""
    for step in ("10", "20"):
        path = folder / step / "MANIFEST.json"
        record = folder / step / "meta" / "metadata"
        meta = json.loads(record.read_text())
        del meta["sums"]
        record.write_text(json.dumps(meta))
        files = [p for p in path.parent.rglob("*") if p.is_file() and p != path]
        listed = {
            p.relative_to(path.parent).as_posix(): [
                p.stat().st_size,
                hashlib.sha256(p.read_bytes()).hexdigest(),
            ]
            for p in files
        }
        path.write_text(json.dumps(listed))
    assert restored(folder).step == 20
    flip_bit(folder / "20")
    assert restored(folder).step == 10


def test_nothing_is_read_back_after_a_save(tmp_path):
    saver = checkpoint.Checkpointer(tmp_path, keep=1)
    many = {f"w{i}": jnp.full(2**20, i, jnp.float32) for i in range(16)}  # 64 MB

    def read_so_far():
        text = pathlib.Path("/proc/self/io").read_text()
        return int(text.split("rchar: ")[1].split()[0])

    for step in (1, 2):
        before = read_so_far()
        saver.save(step, many, {})
        saver.wait()
        read = read_so_far() - before
    saver.close()
    assert read < 2**20  # Orbax's own small files; the state is 64 times as large


def test_leftovers_of_a_killed_save_are_ignored_then_removed(folder):
    left = folder / "30.orbax-checkpoint-tmp"
    left.mkdir()
    (left / "part").write_text("x")
    assert restored(folder).step == 20
    saver = checkpoint.Checkpointer(folder, keep=2)
    saver.save(30, state(30), {})
    saver.close()
    assert {p.name for p in folder.iterdir()} == {"20", "30"}


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs is not permitted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_full_disk_is_one_clear_message_and_loses_nothing(small_disk, absl_log):
    saver = checkpoint.Checkpointer(small_disk / "ckpt", keep=2)
    saver.save(1, state(1), {"at": 1})
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 2**15))
    for _ in range(2):
        with pytest.raises(OSError, match="step 2 not written, the disk is full") as e:
            saver.save(2, state(2), {})
        assert e.value.errno == errno.ENOSPC
        assert "Steps kept intact: [1]" in str(e.value)
    assert {p.name for p in (small_disk / "ckpt").iterdir()} == {"1"}
    assert not absl_log.records
    ballast.unlink()
    saver.save(2, state(2), {"at": 2})
    saver.close()
    assert restored(small_disk / "ckpt").meta == {"at": 2}


def test_a_folder_that_a_failed_save_makes_meanwhile_is_no_obstacle(tmp_path, monkeypatch):
    check_room, made = checkpoint.Checkpointer._check_room, []

    def late_thread(self, step, size):
        check_room(self, step, size)
        made.append(self.folder / f"{step}{checkpoint._TMP}")
        (made[-1] / "state").mkdir(parents=True)

    monkeypatch.setattr(checkpoint.Checkpointer, "_check_room", late_thread)
    saver = checkpoint.Checkpointer(tmp_path, keep=2)
    saver.save(2, state(2), {"at": 2})
    saver.close()
    assert len(made) == 1 and not made[0].exists()
    assert restored(tmp_path).meta == {"at": 2}


FILLING = """
import contextlib, pathlib, shutil, sys, time
import jax.numpy as jnp
from pa_jax.core import checkpoint

def settled():
    before, now = -1, disk_usage(disk).free
    while before != now:  # a thread of the failed save may take room, or give it back
        time.sleep(0.3)
        before, now = now, disk_usage(disk).free
    return now

disk = pathlib.Path(sys.argv[1])
free = shutil.disk_usage(disk).free
saver = checkpoint.Checkpointer(disk / "ckpt", keep=2)
saver.save(1, {"w": jnp.full(5000, 1, jnp.float32)}, {"at": 1})
# Others fill the disk after the check for room: the check is told of the room before.
disk_usage = shutil.disk_usage
shutil.disk_usage = lambda path: disk_usage(path)._replace(free=free)
for left in (0, 8192, 24576, 40960, 53248, 61440):
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        ballast.write_bytes(b"x" * (settled() - left))
    try:
        saver.save(2, {"w": jnp.full(5000, 2, jnp.float32)}, {})
    except OSError as e:
        assert "disk is full" in str(e), e
        print("refused", saver.steps())
ballast.unlink()
saver.save(2, {"w": jnp.full(5000, 2, jnp.float32)}, {"at": 2})
saver.close()
"""


def test_disk_that_fills_while_writing(small_disk, root):
    run = [sys.executable, "-c", FILLING, str(small_disk)]
    out = subprocess.run(run, cwd=root, check=True, capture_output=True, text=True, timeout=120)
    assert out.stdout.splitlines() == ["refused [1]"] * 6
    assert {p.name for p in (small_disk / "ckpt").iterdir()} == {"1", "2"}
    got = restored(small_disk / "ckpt")
    assert (got.meta, set(got.state["w"].tolist())) == ({"at": 2}, {2.0})


SAVING = """
import pathlib, sys
import jax, jax.numpy as jnp
from pa_jax.core import checkpoint, files

folder = pathlib.Path(sys.argv[1])
saver = checkpoint.Checkpointer(folder / "ckpt", keep=2)
got = saver.restore({"w": jax.ShapeDtypeStruct((300000,), jnp.float32)})
step = got.step if got else 0
assert got is None or set(got.state["w"].tolist()) == {float(step)}, "torn state"
while True:
    step += 1
    saver.save(step, {"w": jnp.full(300000, step, jnp.float32)}, {"at": step})
    saver.wait()
    files.append_line(folder / "saved", str(step))
"""


def last_saved(folder):
    """The newest step whose line is whole: the file is there before its first line is."""
    path = folder / "saved"
    whole = path.read_text().split("\n")[:-1] if path.exists() else []
    return int(whole[-1]) if whole else 0


def test_killed_at_any_moment_the_last_finished_save_is_there(tmp_path, root):
    draw = random.Random(0)
    last = 0
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", SAVING, str(tmp_path)], cwd=root)
        try:
            while last_saved(tmp_path) <= last:
                assert child.poll() is None, "the saving process ended by itself"
                time.sleep(0.02)
            time.sleep(draw.uniform(0.0, 0.4))
            assert child.poll() is None, "the saving process ended by itself"
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        last = last_saved(tmp_path)
        saver = checkpoint.Checkpointer(tmp_path / "ckpt", keep=2)
        got = saver.restore({"w": jax.ShapeDtypeStruct((300000,), jnp.float32)})
        saver.close()
        assert got.step in (last, last + 1)
        assert got.meta == {"at": got.step}
        assert float(got.state["w"].min()) == float(got.state["w"].max()) == got.step


def test_killed_in_the_first_save_is_a_fresh_start_with_a_warning(folder, absl_log):
    for step in ("10", "20"):
        never_finish(folder / step)
    assert restored(folder) is None
    assert len([r for r in absl_log.records if "never finished" in r.message]) == 2


def test_checkpoints_that_all_lost_their_manifests_are_not_built_upon(folder):
    for step in ("10", "20"):
        never_finish(folder / step)
    before = sorted(folder.rglob("*"))
    saver = checkpoint.Checkpointer(folder, keep=2)
    assert saver.restore(SHAPE) is None
    with pytest.raises(checkpoint.DamagedError, match=r"steps 10, 20\).*rsync -a"):
        saver.require_manifests()
    saver.close()
    assert sorted(folder.rglob("*")) == before


def test_a_first_save_that_was_cut_off_is_told_from_a_lost_manifest(folder):
    for step in ("10", "20"):
        never_finish(folder / step)
        (folder / f".saving-{step}").touch()
    saver = checkpoint.Checkpointer(folder, keep=2)
    saver.require_manifests()
    saver.save(30, state(30), {"at": 30})
    saver.require_manifests()
    saver.close()
    assert not list(folder.glob(".saving-*"))
