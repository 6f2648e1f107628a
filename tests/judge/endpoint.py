"""A real HTTP server that plays a remote judge's endpoint, and what is asked of it."""

import collections
import contextlib
import http.server
import json
import threading

from pa_jax.dialogue import schema
from pa_jax.judge import rubric

GOOD = dict(zip(rubric.CRITERIA, (5, 5, 3, 2), strict=True))
WANT = [1.0, 1.0, 0.5, 0.25]
USAGE = {"prompt_tokens": 100, "completion_tokens": 10}


def completion(content, usage=USAGE):
    """A 200 answer of the API around a text."""
    body = {"choices": [{"message": {"role": "assistant", "content": content}}], "usage": usage}
    return 200, {}, json.dumps(body)


def rated(request, seen):
    """Rates every snippet the same."""
    return completion(json.dumps(GOOD))


@contextlib.contextmanager
def serving(reply):
    """A server whose answers are `reply(request, times this request came)`: status, headers, body.

    Yields its URL and the requests it got, as (headers, body).
    """
    got, times, lock = [], collections.Counter(), threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            with lock:
                headers = {name.lower(): value for name, value in self.headers.items()}
                got.append((headers, json.loads(body)))
                times[body] += 1
                seen = times[body]
            status, headers, text = reply(json.loads(body), seen)
            with contextlib.suppress(ConnectionError):  # the client may have given up
                self.send_response(status)
                length = headers.pop("length", len(text.encode()))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(length))
                self.end_headers()
                self.wfile.write(text.encode())
                if length > len(text.encode()):
                    self.close_connection = True

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def groups(*texts, gold="The user prefers trains."):
    """One group a list of texts, each of its own user."""
    return [
        rubric.Group(
            schema.Episode(f"{i}/0", str(i), ("The user has a cat.",), "", f"Trains {i}.", gold),
            tuple(() for _ in row),
            tuple(row),
        )
        for i, row in enumerate(texts)
    ]
