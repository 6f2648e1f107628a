"""Compile the phases that a request on standard input names; events as JSON lines on output.

A process of its own, because libtpu wants its environment set before JAX is imported, and because
a program that does not need it should not load it. Started by jobs/plan.py; see `request.py`.
"""

import json
import sys

from pa_jax.plan import request


def main() -> int:
    """Exit status 2, and an event that says why, where the request cannot be met."""

    def tell(event: dict) -> None:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()

    try:
        request.serve(json.load(sys.stdin), tell)
    except (ValueError, OSError) as error:
        tell({"event": "error", "message": str(error)})
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
