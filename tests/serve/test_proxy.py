"""The server behind nginx, set up by the file that comes with it: bounds by address."""

import contextlib
import http.client
import pathlib
import re
import shutil
import socket
import subprocess
import time

import pytest

from pa_jax import serve

CONF = pathlib.Path(serve.__file__).with_name("nginx.conf")
PATH = "/v1/profiles/ann/import"
KEY = {"Authorization": "Bearer key-of-somebody-known"}
AROUND = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/log;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {conf}
}}
"""
STRANGERS = (
    f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nX-Filler: " + "x" * 4000,
    f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n" + "y" * 100_000,
    f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4000\r\n"
    + "z" * 16384,
    "",
)


@pytest.fixture
def proxy(tmp_path, gate):
    """The port of an nginx in front of the gate; plain, for certificates are the user's own."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        pytest.skip("nginx is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    conf = CONF.read_text().replace("127.0.0.1:8000", f"127.0.0.1:{gate.port}")
    conf = re.sub(r" *ssl_\w+ .*\n", "", conf).replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    file = tmp_path / "nginx.conf"
    file.write_text(AROUND.format(folder=tmp_path, conf=conf))
    process = subprocess.Popen([program, "-p", str(tmp_path), "-c", str(file)])
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
        time.sleep(0.05)
    yield port
    process.terminate()
    process.wait(20)


def answered(port, address, headers, size=1000):
    """Status and body of a request from an address of this machine's."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(address, 0))
    with contextlib.closing(link):
        link.request("POST", PATH, body=b"x" * size, headers=headers)
        answer = link.getresponse()
        return answer.status, answer.read()


@pytest.mark.slow
def test_strangers_of_one_address_are_bounded_and_others_do_not_feel_it(proxy, gate, megabytes):
    assert answered(proxy, "127.0.0.2", KEY) == (200, b"1000")
    before, refused = megabytes(gate), 0
    with contextlib.ExitStack() as links:
        for number in range(500):
            link = links.enter_context(socket.create_connection(("127.0.0.1", proxy)))
            link.settimeout(0.2)
            with contextlib.suppress(OSError):
                link.sendall(STRANGERS[number % len(STRANGERS)].encode())
            if number % 4 == 1:
                with contextlib.suppress(OSError):
                    refused += b" 429 " in link.recv(200)
            if number % 50 == 0:
                began = time.monotonic()
                assert answered(proxy, "127.0.0.2", KEY) == (200, b"1000")
                assert time.monotonic() - began < 5
    assert refused > 50
    assert megabytes(gate) - before <= 20


@pytest.mark.slow
def test_what_the_server_says_comes_through(proxy):
    status, body = answered(proxy, "127.0.0.3", {})
    assert status == 401 and b"invalid_api_key" in body
    assert answered(proxy, "127.0.0.3", KEY, size=9 << 20)[0] == 413
