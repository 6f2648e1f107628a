"""What Prometheus is told: requests, tokens, waiting times, load, compiled programs, memory.

No name or word of any user is in it.
"""

import functools

import prometheus_client

from pa_jax.core import timing
from pa_jax.infer.serving import scheduler
from pa_jax.serve import seats, shares

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST


class Gauges:
    """The metrics of one server."""

    def __init__(
        self,
        engine: scheduler.Scheduler,
        places: seats.Seats,
        compiles: timing.CompileCounter,
        parts: shares.Shares,
    ) -> None:
        self._registry = registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=registry)
        self.requests = prometheus_client.Counter(
            "pa_jax_requests",
            "Requests by route and status.",
            ("route", "status"),
            registry=registry,
        )
        self.first = prometheus_client.Histogram(
            "pa_jax_first_token_seconds",
            "From a request to its first piece of text.",
            ("kind",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.per_token = prometheus_client.Histogram(
            "pa_jax_token_seconds",
            "Seconds a token after the first, by request.",
            ("kind",),
            buckets=_TOKEN_SECONDS,
            registry=registry,
        )
        self.tokens = prometheus_client.Counter(
            "pa_jax_tokens", "Tokens of prompts and of replies.", ("kind",), registry=registry
        )
        for name, text, value in (
            ("running", "Requests in the engine.", lambda: engine.load().running),
            ("waiting", "Requests before the engine.", lambda: engine.load().waiting),
            ("inside", "Requests that are answered or wait.", lambda: places.inside),
            ("drawn_tokens", "Tokens drawn since the start.", lambda: engine.load().tokens),
            ("compiled_programs", "Compiled since warm-up; 0 is right.", lambda: compiles.count),
        ):
            gauge = prometheus_client.Gauge(f"pa_jax_{name}", text, registry=registry)
            gauge.set_function(value)
        of_keys = {
            name: prometheus_client.Gauge(f"pa_jax_key_{name}", text, ("key",), registry=registry)
            for name, text in (
                ("requests", "Requests of a key that are under way."),
                ("bytes", "Bytes of their bodies."),
                ("tokens", "Tokens of a key's prompts and replies since the start."),
                ("refused", "Requests of a key that its share had no room for."),
            )
        }
        for name, gauge in of_keys.items():
            for share in parts.all():
                value = functools.partial(getattr, share, name)
                gauge.labels(share.name).set_function(value)

    def text(self) -> bytes:
        """The present state, in Prometheus's text format."""
        return prometheus_client.generate_latest(self._registry)
