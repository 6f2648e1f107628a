"""What a remote judge has answered and what that cost, on disk; and the budget for more."""

import dataclasses
import hashlib
import json
import pathlib
import sqlite3
import threading

_TABLES = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, text TEXT NOT NULL, cost REAL NOT NULL,
    at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS spent (
    one INTEGER PRIMARY KEY CHECK (one = 1), requests INTEGER NOT NULL, cost REAL NOT NULL
);
INSERT OR IGNORE INTO spent VALUES (1, 0, 0.0);
"""
WAIT = 60.0  # seconds for another process that writes


class BudgetSpent(ValueError):
    """The budget does not cover one more request; what was answered is kept."""


@dataclasses.dataclass(frozen=True)
class Held:
    """What the budget set aside for one question: attempts, and what each may cost at most."""

    attempts: int
    each: float


def key(*parts: object) -> str:
    """A question's name in the cache: equal only for equal parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class AnswerFile:
    """Answers by key, and requests and money spent on them, in one SQLite file.

    Each is written when it comes in, so a killed run asks only what was under way again. Several
    threads and processes may share the file.
    """

    def __init__(self, path: pathlib.Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, WAIT, check_same_thread=False)
            with self._db:
                # Not WAL: its shared memory is none on the file system of a network, where the
                # work directory of several hosts lies.
                self._db.execute("PRAGMA journal_mode=TRUNCATE")
                self._db.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"the answers of the remote judge in {path} cannot be read ({error}); move the "
                "file away, or name another in judge.remote.cache."
            ) from error

    def get(self, key: str) -> str | None:
        """The answer's text, None where it was never given."""
        with self._lock:
            row = self._db.execute("SELECT text FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def spent(self) -> tuple[int, float]:
        """Requests and money over the file's life."""
        with self._lock:
            return self._db.execute("SELECT requests, cost FROM spent").fetchone()

    def add(self, key: str, text: str | None, *, requests: int, cost: float) -> None:
        """Books what a question took and, where it was answered, keeps the answer."""
        with self._lock, self._db:
            self._db.execute(
                "UPDATE spent SET requests = requests + ?, cost = cost + ?", (requests, cost)
            )
            if text is not None:
                row = (key, text, cost)
                self._db.execute(
                    "INSERT OR REPLACE INTO answers(key, text, cost) VALUES (?,?,?)", row
                )

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()


class Budget:
    """Lets a question through only when its worst case is covered, so no limit is ever passed.

    Near the limit questions wait for those under way, which mostly take less than was held.
    """

    def __init__(self, answers: AnswerFile, requests: int, cost: float) -> None:
        """`requests` and `cost` limit the file's life; cost=0 sets no limit of money."""
        self._answers, self._requests, self._cost = answers, requests, cost
        self._change = threading.Condition()
        self._held_requests, self._held_cost = 0, 0.0

    def take(self, attempts: int, each: float) -> Held:
        """Sets aside up to `attempts` requests of at most `each`; BudgetSpent where none is left.

        Every `take` needs its `settle`.
        """
        with self._change:
            while True:
                requests, cost = self._answers.spent()
                fits = min(attempts, self._requests - requests - self._held_requests)
                if self._cost and each:
                    fits = min(fits, int((self._cost - cost - self._held_cost) / each))
                if fits > 0:
                    self._held_requests += fits
                    self._held_cost += fits * each
                    return Held(fits, each)
                if not self._held_requests:
                    raise BudgetSpent(
                        f"the remote judge's budget is spent: {requests} of {self._requests} "
                        f"requests, {cost:.4f} of {self._cost or 'unlimited'} money (one more may "
                        f"cost {each:.6f}). What was judged is kept in {self._answers.path}; raise "
                        "requests or cost of the remote judge and start again to go on."
                    )
                self._change.wait()

    def settle(self, held: Held) -> None:
        """Gives back what `take` set aside, after the real sum was booked."""
        with self._change:
            self._held_requests -= held.attempts
            self._held_cost -= held.attempts * held.each
            self._change.notify_all()
