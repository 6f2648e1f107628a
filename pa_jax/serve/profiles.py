"""/v1/profiles: what is known of a user, its history, export, import, erasure; and sessions."""

import contextlib
import datetime
import functools
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, TypeVar

import fastapi
import pydantic
from fastapi import concurrency, responses

from pa_jax.agent import handle, session
from pa_jax.english import second_person
from pa_jax.profile import codec, decay, editing, facts, lookup, store, undo
from pa_jax.profile.db import erasure
from pa_jax.serve import errors, guard, keys, moments, seats, slips, wire

T = TypeVar("T")
F = TypeVar("F", bound=wire.Fact)
Change = Callable[[session.Session, handle.ReplyHandle], session.Reply]
SESSIONS = 1000  # that are listed
_AT_ONCE = 64  # facts that are written out before other threads get their turn

_EXPORT_AS_BODY = {  # read in a thread, not by FastAPI: it may be megabytes
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}

User = Annotated[str, fastapi.Path(description="the user's id", max_length=256)]
Time = Annotated[
    str | None, fastapi.Query(description="ISO 8601 time with its offset; + is %2B in an address")
]
Search = Annotated[
    str, fastapi.Query(description="words that a fact has", max_length=lookup.MAX_CHARS)
]
InSession = Annotated[int | None, fastapi.Query(ge=0, le=wire.MAX_INTEGER)]
Number = Annotated[int, fastapi.Path(ge=0, le=wire.MAX_INTEGER)]


def shown(of: type[F], fact: facts.Fact, now: datetime.datetime) -> F:
    """A fact or a record as HTTP shows it: what is kept of it, and what is told of it now."""
    told = second_person.told(fact.statement, fact.source.quote)
    of_now = {"confidence_now": decay.confidence_at(fact, now=now), "told": told}
    return codec.unchecked(of, vars(fact) | of_now)


def turn_made(reply: session.Reply, *, now: datetime.datetime) -> wire.TurnMade:
    """What HTTP tells of a reply's turn."""
    return wire.TurnMade(
        session=reply.session,
        turn=reply.turn,
        asked=reply.asked,
        question=reply.question,
        why=reply.why,
        updates=[
            wire.Update(kind=change.event, fact=shown(wire.Fact, change.fact, now))
            for change in reply.updates
        ],
        dropped=[*reply.refused, *reply.dropped],
    )


class Profiles:
    """The routes; `access` is the dependency that says what a caller may touch."""

    def __init__(
        self,
        agent: session.Agent,
        places: seats.Seats,
        access: Callable[..., keys.Access],
    ) -> None:
        self.agent, self.places, self.store = agent, places, agent.profiles
        self.router = fastapi.APIRouter(
            prefix="/v1/profiles",
            tags=["profiles"],
            dependencies=[
                fastapi.Depends(_allowed(access)),
                fastapi.Depends(slips.require_known_query),
            ],
        )
        add = self.router.add_api_route
        add("/{user}", self.facts, response_model=wire.Facts)
        add("/{user}", self.erase, methods=["DELETE"], response_model=erasure.Receipt)
        add("/{user}/history", self.history, response_model=wire.History)
        add("/{user}/export", self.export)
        add(
            "/{user}/import",
            self.import_,
            methods=["POST"],
            response_model=wire.Imported,
            openapi_extra=_EXPORT_AS_BODY,
        )
        add("/{user}/sessions", self.sessions, response_model=wire.Sessions)
        add("/{user}/sessions/{number}", self.session, response_model=wire.Session)
        add("/{user}/facts", self.add, methods=["POST"], response_model=wire.TurnMade)
        add("/{user}/undo", self.undo, methods=["POST"], response_model=wire.TurnMade)
        one = "/{user}/facts/{fact_id}"
        add(one, self.edit, methods=["PATCH"], response_model=wire.TurnMade)
        add(one, self.forget, methods=["DELETE"], response_model=wire.TurnMade)

    async def facts(
        self, request: fastapi.Request, user: User, as_of: Time = None, search: Search = ""
    ) -> responses.Response:
        """What holds now, oldest first; with `as_of` what was known then; by words of theirs."""
        then = None if as_of is None else moments.of("as_of", as_of)

        def found() -> wire.Facts:
            now = then or self.agent.clock()
            held = self.store.as_of(user, then) if then else self.agent.session(user).profile()
            held = lookup.matching(_slowly(held), search) if search else held
            return wire.Facts(
                user=user, facts=[shown(wire.Fact, fact, now) for fact in _slowly(held)]
            )

        return await self._read(request, found)

    async def history(
        self, request: fastapi.Request, user: User, fact: str | None = None, since: Time = None
    ) -> responses.Response:
        """Every version of every fact, or of one, in the order in which they became known.

        With `since` those that became known after that time: what has changed.
        """
        after = None if since is None else moments.of("since", since)

        def found() -> wire.History:
            now = self.agent.clock()
            records = [
                shown(wire.Record, record, now)
                for record in _slowly(self.store.history(user, fact))
                if after is None or record.known_from > after
            ]
            return wire.History(user=user, records=records)

        return await self._read(request, found)

    async def sessions(self, request: fastapi.Request, user: User) -> responses.Response:
        """The numbers of the user's sessions, and what was talked about in them."""

        def found() -> wire.Sessions:
            book = self.store.journal
            return wire.Sessions(
                user=user,
                sessions=list(book.sessions(user, SESSIONS)),
                conversations=list(book.conversations(user, SESSIONS)),
            )

        return await self._read(request, found)

    async def session(
        self, request: fastapi.Request, user: User, number: Number
    ) -> responses.Response:
        """What was said in a session."""

        def found() -> wire.Session:
            said = self.agent.session(user, number).said()
            so_far = {turn.turn: self.agent.answering.said(turn) for turn in said}
            if any(turn.reply is None and so_far[turn.turn] is None for turn in said):
                said = self.agent.session(user, number).said()  # one may have ended meanwhile
            turns = [
                wire.Turn(
                    turn=turn.turn,
                    words=turn.words,
                    reply=turn.reply,
                    so_far=None if turn.reply is not None else so_far.get(turn.turn),
                    asked=turn.asked,
                    question=turn.question,
                    why=turn.why,
                    received_at=turn.times[0],
                )
                for turn in said
                if turn.words
            ]
            return wire.Session(user=user, session=number, turns=turns)

        return await self._read(request, found)

    async def export(self, request: fastapi.Request, user: User) -> responses.Response:
        """Everything about the user (pa_jax/profile/portable.py says what is in it)."""

        def found() -> dict[str, Any]:
            try:
                return self.store.export(user)
            except LookupError:
                message = f"nothing is known of user {user!r:.60}; there is nothing to export."
                raise errors.ApiError(404, message, code="user_not_found") from None

        return await self._read(request, found)

    async def import_(self, request: fastapi.Request, user: User) -> dict[str, Any]:
        """Stores what an export gave, for a user of whom nothing is known yet."""
        text = await request.body()

        def stored() -> int:
            body = _exported(text)
            if body.get("user") != user:
                raise errors.ApiError(
                    400,
                    "the export is another user's than the address names; send it to its own "
                    "address.",
                    code="invalid_value",
                    param="user",
                )
            try:
                self.store.import_(body, now=self.agent.clock())
            except store.UserExists as error:
                raise errors.ApiError(409, f"{error}", code="user_exists") from error
            return len({fact["id"] for fact in body["facts"]})

        try:
            count = await self._alone(request, user, stored)
        except (ValueError, RecursionError, OverflowError) as error:
            raise errors.ApiError(400, f"{error}", code="invalid_profile") from error
        return {"user": user, "facts": count}

    async def erase(self, request: fastapi.Request, user: User) -> erasure.Receipt:
        """Deletes all that is known of the user and was said; files are cleaned afterwards.

        Nobody waits for that: how long it takes depends on how much others have stored.
        """
        erase = functools.partial(self.store.erase, user, wait=False)
        return await self._alone(request, user, erase)

    async def edit(
        self,
        request: fastapi.Request,
        user: User,
        fact_id: str,
        body: wire.Statement,
        session: InSession = None,
    ) -> wire.TurnMade:
        """Puts the user's own words in the place of a fact; the old one stays in history."""
        with _wrong_statement_told():
            return await self._changed(
                request, user, session, lambda talk, who: talk.edit(fact_id, body.statement, who)
            )

    async def add(
        self,
        request: fastapi.Request,
        user: User,
        body: wire.Statement,
        session: InSession = None,
    ) -> wire.TurnMade:
        """Adds a fact in the user's own words."""
        with _wrong_statement_told():
            return await self._changed(
                request, user, session, lambda talk, who: talk.add(body.statement, who)
            )

    async def undo(
        self, request: fastapi.Request, user: User, body: wire.Undo, session: InSession = None
    ) -> wire.TurnMade:
        """Takes back what a turn changed, by `session` and `turn` of its answer.

        That is a turn of its own, which can itself be undone. 409 where the turn changed nothing,
        or what it changed was changed again since.
        """
        place = (body.session, body.turn)
        try:
            return await self._changed(
                request, user, session, lambda talk, who: talk.undo(place, who)
            )
        except undo.CannotUndo as error:
            raise errors.ApiError(409, f"{error}", code="cannot_undo") from error

    async def forget(
        self, request: fastapi.Request, user: User, fact_id: str, session: InSession = None
    ) -> wire.TurnMade:
        """Retracts a fact; its history stays until the user is erased."""
        return await self._changed(
            request, user, session, lambda talk, who: talk.forget(fact_id, who)
        )

    async def _read(
        self, request: fastapi.Request, found: Callable[[], pydantic.BaseModel | dict[str, Any]]
    ) -> responses.Response:
        """What is `found`, as JSON: all of it in a thread, for it may be megabytes."""

        def text() -> bytes:
            data = found()
            if isinstance(data, pydantic.BaseModel):
                return data.model_dump_json().encode()
            return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()

        async with self.places.reading(request.scope[guard.SHARE]):
            body = await concurrency.run_in_threadpool(text)
        return responses.Response(body, media_type="application/json")

    async def _changed(
        self,
        request: fastapi.Request,
        user: str,
        number: int | None,
        change: Change,
    ) -> wire.TurnMade:
        """What `change` makes of a fact, in a session of the user's, a new one where it is None."""
        if number is not None and not await concurrency.run_in_threadpool(
            self.store.journal.last, user, number, 1
        ):
            raise errors.ApiError(404, f"no session {number}.", code="session_not_found")
        talk, who = self.agent.session(user, number), handle.ReplyHandle()
        try:
            reply = await self._alone(request, user, change, talk, who, waiting=who)
        except LookupError:
            message = "no fact with that id holds; the profile lists those that do."
            raise errors.ApiError(404, message, code="fact_not_found") from None
        return turn_made(reply, now=self.agent.clock())

    async def _alone(
        self,
        request: fastapi.Request,
        user: str,
        function: Callable[..., T],
        *args: Any,
        waiting: handle.ReplyHandle | None = None,
    ) -> T:
        """A blocking call that waits for the user's turns, and they for it."""
        seat = await self.places.take(user, request.scope[guard.SHARE])
        try:
            return await seat.run(function, *args, waiting=waiting)
        finally:
            seat.free()


def _allowed(access: Callable[..., keys.Access]) -> Callable[..., None]:
    def allowed(user: User, who: Annotated[keys.Access, fastapi.Depends(access)]) -> None:
        keys.require_access(who, user)

    return allowed


def _slowly(items: Iterable[T]) -> Iterator[T]:
    """The items, with time for others' threads between: at most half of a core."""
    began = time.monotonic()
    for number, item in enumerate(items):
        yield item
        if number % _AT_ONCE == _AT_ONCE - 1:
            time.sleep(time.monotonic() - began)
            began = time.monotonic()


def _exported(text: bytes) -> dict[str, Any]:
    """The JSON object in a body; an ApiError where it is none."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise errors.ApiError(400, f"the body is no JSON: {error}.", code="invalid_json") from error
    if isinstance(data, dict):
        return data
    raise errors.ApiError(
        400, "the body is no export; send what export gave.", code="invalid_value"
    )


@contextlib.contextmanager
def _wrong_statement_told() -> Iterator[None]:
    try:
        yield
    except editing.WrongStatement as error:
        raise errors.ApiError(400, f"{error}", code="invalid_value", param="statement") from error
