import errno
import json
import subprocess

import pytest

from pa_jax.core import files


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_atomic_write_replaces_text_and_bytes(tmp_path):
    path = tmp_path / "a.json"
    files.atomic_write(path, "Größe")
    files.atomic_write(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_full_disk_keeps_the_old_file_and_says_so(small_disk):
    path = small_disk / "report.json"
    files.atomic_write(path, "old")
    with pytest.raises(OSError, match="report.json") as e:
        files.atomic_write(path, b"x" * 2**20)
    assert e.value.errno == errno.ENOSPC
    assert "free space" in str(e.value)
    assert path.read_text() == "old"
    assert [p.name for p in small_disk.iterdir()] == ["report.json"]


def test_full_disk_leaves_no_half_line(small_disk):
    path = small_disk / "metrics.jsonl"
    line = json.dumps({"step": 0, "text": "x" * 50_000})
    with pytest.raises(OSError, match="metrics.jsonl"):
        for _ in range(10):
            files.append_line(path, line)
    written = path.read_text()
    assert written.count("\n") >= 3
    assert written == (line + "\n") * written.count("\n")


def test_append_refuses_a_line_break(tmp_path):
    with pytest.raises(ValueError, match="line break"):
        files.append_line(tmp_path / "a", "x\ny")


def test_truncate_keeps_bytes_of_kept_rows_and_drops_broken_ones(tmp_path):
    path = tmp_path / "rows.jsonl"
    good = b'{"step":0,  "a": 1}\n{"step": 1, "a": 2.50}\n'
    path.write_bytes(good + b'{"step": 2}\nnot json\n{"step": 1, "a"')
    assert files.truncate_rows(path, lambda row: row["step"] < 2) == 3
    assert path.read_bytes() == good
    assert files.truncate_rows(path, lambda row: True) == 0
    assert files.truncate_rows(tmp_path / "none", lambda row: True) == 0


def test_read_rows_leaves_out_a_half_written_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"step": 0}\n[1]\n{"step": 1}')
    assert list(files.read_rows(path)) == [{"step": 0}]


def test_lines_are_appended_all_or_none(tmp_path):
    path = tmp_path / "rows.jsonl"
    files.append_lines(path, ['{"a": 1}', '{"a": 2}'], durable=True)
    with pytest.raises(ValueError, match="line break"):
        files.append_lines(path, ['{"a": 3}', "{\n}"], durable=True)
    files.append_lines(path, [], durable=False)
    assert [row["a"] for row in files.read_rows(path)] == [1, 2]
