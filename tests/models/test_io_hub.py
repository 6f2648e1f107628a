"""hf: sources against a server on this machine that speaks what the hub library asks for."""

import hashlib
import http.server
import json
import logging as std_logging
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from safetensors.numpy import save_file

from pa_jax import models
from pa_jax.models.io import parts, source, wheels

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "parity"
ROOT = pathlib.Path(__file__).parent.parent.parent
REPO, COMMIT = "org/toy", "c" * 40
MEGABYTE = 1 << 20


class Hub(http.server.ThreadingHTTPServer):
    """One repository; large files come by redirect and byte range, as from the Hub's CDN.

    `stall`: (path, bytes): the sending of that file stops there, once, until `go_on` is set.
    `garble`: a path whose bytes arrive changed.
    """

    daemon_threads = True

    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.asked = folder, []  # asked: (path, first byte, bytes sent)
        self.stall, self.go_on, self.stalled = None, threading.Event(), threading.Event()
        self.garble = None
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.cdn = f"http://localhost:{self.server_port}/cdn"  # another host, as at the Hub
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def large(self, name: str) -> bool:
        return name.endswith((".safetensors", ".bin"))

    def etag(self, name: str) -> str:
        data = (self.folder / name).read_bytes()
        if self.large(name):
            return hashlib.sha256(data).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    def fetched(self, name: str) -> list[tuple[int, int]]:
        """(first byte, bytes sent) of every time that `name` was asked for."""
        return [(first, sent) for path, first, sent in self.asked if path == name]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *args) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path.startswith(f"/api/models/{REPO}/revision/"):
            self.answer(json.dumps({"id": REPO, "sha": COMMIT, "siblings": []}).encode())
        elif path.startswith(f"/api/models/{REPO}/tree/"):
            names = [p.name for p in self.server.folder.iterdir()]
            self.answer(json.dumps([self.entry(name) for name in names]).encode())
        elif found := re.fullmatch(rf"/{REPO}/resolve/[^/]+/(.+)", path):
            self.resolve(found[1])
        elif path.startswith("/cdn/"):
            self.send_file(path.removeprefix("/cdn/"))
        else:
            self.answer(b"", status=404)

    def entry(self, name: str) -> dict:
        size, etag = (self.server.folder / name).stat().st_size, self.server.etag(name)
        lfs = {"lfs": {"oid": etag, "size": size, "pointerSize": 130}}
        return {"type": "file", "path": name, "size": size, "oid": etag[:40]} | (
            lfs if self.server.large(name) else {}
        )

    def resolve(self, name: str) -> None:
        if not (self.server.folder / name).is_file():
            self.answer(b"", status=404, **{"X-Error-Code": "EntryNotFound"})
            return
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{self.server.etag(name)}"'}
        if not self.server.large(name):
            self.answer((self.server.folder / name).read_bytes(), **headers)
            return
        headers["X-Linked-Etag"] = headers.pop("ETag")
        headers["X-Linked-Size"] = str((self.server.folder / name).stat().st_size)
        self.answer(b"", status=302, Location=f"{self.server.cdn}/{name}", **headers)

    def send_file(self, name: str) -> None:
        data = (self.server.folder / name).read_bytes()
        if name == self.server.garble:
            data = bytes([data[0] ^ 1]) + data[1:]
        first = 0
        if given := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            first = int(given[1])
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(data) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        sent = 0
        try:
            for start in range(first, len(data), MEGABYTE):
                if self.server.stall == (name, start):
                    self.server.stall = None
                    self.server.stalled.set()
                    self.server.go_on.wait(60)
                self.wfile.write(data[start : start + MEGABYTE])
                sent += len(data[start : start + MEGABYTE])
        except OSError:  # the client is gone
            self.close_connection = True
        self.server.asked.append((name, first, sent))

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The server, with an empty folder to serve; the library here and in children asks it."""
    (tmp_path / "served").mkdir()
    server = Hub(tmp_path / "served")
    monkeypatch.setenv("PA_JAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    constants = "huggingface_hub.constants"  # read from the environment when it was imported
    monkeypatch.setattr(f"{constants}.ENDPOINT", server.url)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(f"{constants}.HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    yield server
    server.go_on.set()
    server.shutdown()
    server.server_close()


def serve(hub: Hub, **files: bytes) -> None:
    for name, data in files.items():
        (hub.folder / name.replace("__", ".")).write_bytes(data)


def shards(hub: Hub) -> dict[str, str]:
    """Two shards of 1 and 32 MB and files beside them that nobody needs; sha256 by name."""
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    rng = np.random.default_rng(0)
    for name, count in zip(names, (1, 32), strict=True):
        save_file({name: rng.integers(0, 255, count << 20, np.uint8)}, hub.folder / name)
    index = {"weight_map": dict(zip("ab", names, strict=True))}
    (hub.folder / "model.safetensors.index.json").write_text(json.dumps(index))
    serve(hub, config__json=b"{}", README__md=b"x", pytorch_model__bin=b"y" * MEGABYTE)
    serve(hub, consolidated__safetensors=b"z" * MEGABYTE)
    return {name: hub.etag(name) for name in names}


def start_fetch() -> subprocess.Popen:
    code = f"from pa_jax.models.io import source; print(source.resolve('hf:{REPO}'))"
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_a_killed_download_goes_on_where_it_stopped(hub, tmp_path):
    small, big = wanted = shards(hub)
    hub.stall = (big, 25 * MEGABYTE)
    first = start_fetch()
    assert hub.stalled.wait(60)
    part = tmp_path / "home" / "hub" / "models--org--toy" / "blobs"
    part /= f"{wanted[big]}.pa_jax.incomplete"
    deadline = time.time() + 30
    while part.stat().st_size < 20 * MEGABYTE and time.time() < deadline:
        time.sleep(0.05)
    while hub.fetched(small) == [] and time.time() < deadline:
        time.sleep(0.05)
    first.kill()
    first.communicate()
    kept = part.stat().st_size
    assert kept >= 20 * MEGABYTE
    hub.go_on.set()
    second = start_fetch()
    folder = pathlib.Path(second.communicate(timeout=60)[0].strip().splitlines()[-1])
    assert second.returncode == 0
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("model-*")}
    assert found == wanted
    assert [sent for _, sent in hub.fetched(small)] == [(hub.folder / small).stat().st_size]
    again = (hub.folder / big).stat().st_size - kept
    assert hub.fetched(big)[-1] == (kept, again)
    assert len(hub.fetched(big)) == 2
    assert {path for path, *_ in hub.asked} == set(wanted)  # and nothing that is not needed
    assert not list(part.parent.glob("*incomplete"))


def toy(hub: Hub) -> pathlib.Path:
    """A model that loads, served whole."""
    for path in (GOLDEN / "llama").iterdir():
        if path.name in ("config.json", "model.safetensors"):
            (hub.folder / path.name).write_bytes(path.read_bytes())
    return hub.folder / "model.safetensors"


def test_a_repository_loads_and_then_needs_no_network(hub, monkeypatch):
    toy(hub)
    assert models.load(f"hf:{REPO}").config == models.load(str(GOLDEN / "llama")).config
    assert [first for first, _ in hub.fetched("model.safetensors")] == [0]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    source.resolve(f"hf:{REPO}")
    assert len(hub.fetched("model.safetensors")) == 1


def test_a_damaged_file_is_named_and_fetched_again(hub, caplog):
    weights = toy(hub)
    path = source.resolve(f"hf:{REPO}") / weights.name
    data = path.read_bytes()
    path.resolve().write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, ns=(1, 1))
    with caplog.at_level(std_logging.WARNING, logger="absl"):
        path = source.resolve(f"hf:{REPO}") / weights.name
    assert "damaged: sha256" in caplog.text
    assert path.read_bytes() == data and len(hub.fetched(weights.name)) == 2


def test_bytes_that_are_not_what_the_hub_says_are_refused(hub, tmp_path):
    weights = toy(hub)
    hub.garble = weights.name
    with pytest.raises(ValueError, match=rf"{REPO}.*damaged twice: damaged: sha256.*not [0-9a-f]"):
        source.resolve(f"hf:{REPO}")
    assert not list((tmp_path / "home").rglob("*.safetensors"))
    assert not list((tmp_path / "home").rglob("*incomplete"))
    hub.garble = None
    assert (source.resolve(f"hf:{REPO}") / weights.name).read_bytes() == weights.read_bytes()


def test_a_repository_without_safetensors_says_so(hub):
    serve(hub, config__json=b"{}", pytorch_model__bin=b"y")
    with pytest.raises(ValueError, match="hf:org/toy.*only safetensors are read"):
        source.resolve(f"hf:{REPO}")


def test_an_index_that_points_elsewhere_is_refused(hub):
    index = {"weight_map": {"a": "../../x.safetensors"}}
    serve(hub, config__json=b"{}", model__safetensors__index__json=json.dumps(index).encode())
    with pytest.raises(ValueError, match=r"names '\.\./\.\./x\.safetensors'"):
        source.resolve(f"hf:{REPO}")


def parted(content: bytes) -> parts.Parted:
    """A file that the served repository has; no wheels of it exist."""
    sha = hashlib.sha256(content).hexdigest()
    pins = (wheels.Pin("no-such-wheel-of-ours", "1.0", "0" * 64, "x"),)
    return parts.Parted("toy.bin", len(content), sha, REPO, pins, (len(content),))


@pytest.mark.parametrize("arrived", [0, MEGABYTE + 7])
def test_a_parted_file_comes_from_the_hub_by_the_byte(arrived: int, hub, tmp_path):
    content = np.random.default_rng(1).bytes(3 * MEGABYTE)
    serve(hub, toy__bin=content)
    folder = tmp_path / "cache" / "models" / "toy"
    folder.mkdir(parents=True)
    (folder / "toy.bin.part").write_bytes(content[:arrived])
    assert source.from_parts("toy", parted(content)).read_bytes() == content
    assert hub.fetched("toy.bin")[-1] == (arrived, len(content) - arrived)


def test_another_file_at_the_hub_is_not_taken(hub, monkeypatch):
    serve(hub, toy__bin=b"other")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ValueError, match="its toy.bin is another one.*no-such-wheel-of-ours"):
        source.from_parts("toy", parted(b"wanted"))
    assert hub.fetched("toy.bin") == []
