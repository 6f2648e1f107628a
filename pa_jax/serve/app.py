"""The HTTP application: routes, keys, limits and metrics around one agent."""

import contextlib
import pathlib
import time
from collections.abc import AsyncGenerator
from typing import Annotated, Any, cast

import fastapi
from fastapi import responses, security, staticfiles
from starlette import types

from pa_jax.agent import session
from pa_jax.core import timing
from pa_jax.infer.serving.scheduler import Scheduler
from pa_jax.profile import taxonomy
from pa_jax.serve import (
    completions,
    errors,
    gauges,
    guard,
    keys,
    limits,
    profiles,
    seats,
    shares,
    streams,
    wire,
)

PAGE = pathlib.Path(__file__).with_name("page")
REFERENCE = pathlib.Path(__file__).with_name("reference")
_BEARER = security.HTTPBearer(auto_error=False, description="an API key, where the server has any")


def build(
    agent: session.Agent,
    cfg: limits.Limits,
    *,
    known: keys.Keys | None,
    hosts: tuple[str, ...] | None,
    name: str,
    model: str,
    user_header: str,
    compiles: timing.CompileCounter,
) -> fastapi.FastAPI:
    """The application. `known` None takes everyone; `hosts` are the names it answers to, None any.

    `name` is the model's for callers, `model` what people call it. `user_header` names the user
    of a request whose body does not.
    """
    places = seats.Seats(cfg)
    parts = shares.Shares(cfg, known)
    meters = gauges.Gauges(cast(Scheduler, agent.parts.serves), places, compiles, parts)

    @contextlib.asynccontextmanager
    async def lifespan(_: fastapi.FastAPI) -> AsyncGenerator[None, None]:
        yield
        await places.leave()

    app = fastapi.FastAPI(
        title="pa_jax",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load scripts from other hosts
        redoc_url=None,
        responses={"4XX": {"model": wire.Error}, "5XX": {"model": wire.Error}},
    )
    chat = completions.CompletionsRoute(
        agent, places, meters, _access, name=name, user_header=user_header
    )
    app.include_router(chat.router)
    app.include_router(profiles.Profiles(agent, places, _access).router)
    _add_models(app, wire.Model(id=name, created=int(time.time()), owned_by="pa_jax", name=model))
    _add_pages(app, keyed=known is not None)
    _add_load_routes(app, agent, meters)
    errors.install(app)
    app.add_exception_handler(streams.Gone, _nobody)
    app.add_middleware(_Counting, meters=meters)
    app.add_middleware(guard.Guard, cfg=cfg, hosts=hosts, known=known, parts=parts)
    return app


def _access(
    request: fastapi.Request,
    _: Annotated[security.HTTPAuthorizationCredentials | None, fastapi.Depends(_BEARER)],
) -> keys.Access:
    """What the guard found the caller's key to open; the header is named for the schema."""
    return request.scope[guard.ACCESS]


def _add_models(app: fastapi.FastAPI, model: wire.Model) -> None:
    needs_key = [fastapi.Depends(_access)]

    @app.get("/v1/models", dependencies=needs_key, tags=["chat"])
    def models() -> wire.Models:
        """The one model that is served."""
        return wire.Models(data=[model])

    @app.get("/v1/models/{name}", dependencies=needs_key, tags=["chat"])
    def one_model(name: str) -> wire.Model:
        """It, by its name."""
        if name != model.id:
            message = f"model {ascii(name[:60])} is not here; use {model.id!r}."
            raise errors.ApiError(404, message, code="model_not_found")
        return model


def _add_pages(app: fastapi.FastAPI, *, keyed: bool) -> None:
    """The web page and its files, and what the API's reference is read and tried with."""

    @app.head("/", include_in_schema=False)  # as watchers ask, and curl -I
    @app.get("/", include_in_schema=False)
    def page() -> responses.Response:
        """The web page."""
        if not (PAGE / "index.html").is_file():
            raise errors.ApiError(404, "this server has no web page.", code="not_found")
        return responses.FileResponse(PAGE / "index.html")

    @app.get("/page/taxonomy.json", include_in_schema=False)
    def names() -> dict[str, Any]:
        """What the page calls categories and slots."""
        return {
            "categories": [
                {"id": c.id, "name": c.name, "slots": {s.path: s.name for s in c.subcategories}}
                for c in taxonomy.Taxonomy.load().categories
            ]
        }

    @app.get("/page/server.json", include_in_schema=False)
    def about() -> dict[str, Any]:
        """Whether this server wants a key."""
        return {"keys": keyed}

    for name in ("docs", "redoc"):
        _add_reference(app, name)
    for name, folder in (("page", PAGE), ("reference", REFERENCE)):
        files = staticfiles.StaticFiles(directory=folder, check_dir=False)
        app.mount(f"/{name}", files, name=name)


def _add_reference(app: fastapi.FastAPI, name: str) -> None:
    @app.get(f"/{name}", include_in_schema=False)
    def page() -> responses.Response:
        """The schema as a page."""
        return responses.FileResponse(REFERENCE / f"{name}.html")


def _add_load_routes(app: fastapi.FastAPI, agent: session.Agent, meters: gauges.Gauges) -> None:
    """What tells of everybody's requests, for operators alone where there are keys."""
    engine = cast(Scheduler, agent.parts.serves)

    @app.head("/health", include_in_schema=False)  # as balancers of load ask
    @app.get("/health", tags=["server"])
    def health(request: fastapi.Request) -> dict[str, Any]:
        """Whether it answers, and to operators how busy it is; 503 where the engine has failed."""
        if engine.failure is not None:
            raise errors.ApiError(
                503, "the engine has failed; the log says why. Start anew.", code="engine_failed"
            )
        who = request.scope.get(guard.ACCESS)
        if who is None or not who.operator:
            return {"status": "ok"}
        load = engine.load()
        return {"status": "ok", "running": load.running, "waiting": load.waiting}

    @app.get(
        "/metrics",
        tags=["server"],
        response_class=responses.PlainTextResponse,
    )
    def metrics(who: Annotated[keys.Access, fastapi.Depends(_access)]) -> responses.Response:
        """Prometheus's text format, for operators."""
        if not who.operator:
            raise errors.ApiError(
                403,
                "this key is no operator's; metrics tell of everybody's requests. Give its entry "
                "in the keys file operator = true.",
                code="operator_only",
            )
        return responses.Response(meters.text(), media_type=gauges.CONTENT_TYPE)


async def _nobody(*_: Any) -> responses.Response:
    return responses.Response(status_code=499)


class _Counting:
    """ASGI middleware that counts requests by route and status."""

    def __init__(self, app: types.ASGIApp, meters: gauges.Gauges) -> None:
        self.app, self.meters = app, meters

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def counted(message: types.Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                self.meters.requests.labels(route, message["status"]).inc()
            await send(message)

        await self.app(scope, receive, counted)
