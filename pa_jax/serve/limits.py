"""How much one server takes at once, how much of one request, and how long it waits."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of a server.

    body_bytes     of a request's body; import_bytes of an imported profile
    messages       of a request
    prompt_chars   of all its messages, and of one turn's words
    choices        completions of one request (n)
    running        requests that are answered side by side; further ones wait
    queue          that wait, over all users; the next gets 429
    reading        requests that read profiles side by side, one of each key where the server has
                   several; further ones wait
    key_running    places of one key's requests; a completion of n choices takes n of them. What is
                   said of a key holds where the server has several
    key_queue      of one key's requests that wait; the next gets 429
    key_tokens     of prompts and replies of one key in a minute, then 429
    key_bytes      of bodies that one key's requests hold at once, then 429
    user_queue     of one user's that run or wait (they take turns); the next gets 429
    wait_seconds   for a place, then 429
    reply_seconds  of a reply, which is cut where it is then
    connections    that are open; one more has the oldest closed that never showed a key, or else
                   the oldest that is idle
    head_seconds   for a request's head to arrive, then its connection is closed
    body_seconds   for a request's body to arrive
    send_seconds   for a client to take what is sent, then it is cut off
    ping_seconds   of silence in a stream until a comment shows that it lives
    drain_seconds  until the server has ended once it is told to; requests under way get half of it
    """

    body_bytes: int
    import_bytes: int
    messages: int
    prompt_chars: int
    choices: int
    running: int
    queue: int
    reading: int
    key_running: int
    key_queue: int
    key_tokens: int
    key_bytes: int
    user_queue: int
    wait_seconds: float
    reply_seconds: float
    connections: int
    head_seconds: float
    body_seconds: float
    send_seconds: float
    ping_seconds: float
    drain_seconds: float

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least: float = 0 if field.name in ("queue", "key_queue") else 1
            if field.type is float:
                least = 0.001
            if value < least:
                raise ValueError(f"limits.{field.name}={value}: give {least} or more.")
