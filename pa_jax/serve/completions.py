"""POST /v1/chat/completions: OpenAI's shapes around an answer, whole or as a stream of events."""

import secrets
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any, cast

import fastapi
from fastapi import responses

from pa_jax.agent import session
from pa_jax.dialogue import schema
from pa_jax.infer.serving import scheduler
from pa_jax.profile import turns
from pa_jax.serve import (
    answers,
    errors,
    gauges,
    guard,
    keys,
    limits,
    seats,
    shares,
    streams,
    wire,
)

_ROLES = {"developer": "system"} | dict.fromkeys(wire.RESULTS, "user")


class CompletionsRoute:
    """The route."""

    def __init__(
        self,
        agent: session.Agent,
        places: seats.Seats,
        meters: gauges.Gauges,
        access: Callable[..., keys.Access],
        *,
        name: str,
        user_header: str,
    ) -> None:
        """`name` is the model's, as callers know it; `user_header` of requests without a user."""
        self.agent, self.places, self.meters, self.name = agent, places, meters, name
        self.user_header = user_header
        self.engine = cast(scheduler.Scheduler, agent.parts.serves)
        self.cfg: limits.Limits = places.cfg
        self.router = fastapi.APIRouter(prefix="/v1", tags=["chat"])

        async def complete(
            request: fastapi.Request,
            body: wire.ChatRequest,
            who: Annotated[keys.Access, fastapi.Depends(access)],
        ) -> responses.Response:
            """A reply, whole or streamed; with `user` it is a turn that is remembered.

            Where the body has no `user`, the server's user header names one, or the key does.
            """
            body = self._of_user(body, request.headers.get(self.user_header), who)
            began = time.monotonic()
            work = self.answered(request, body, began)
            return await streams.unless_gone(request.receive, work)

        self.router.add_api_route("/chat/completions", complete, methods=["POST"])

    def _of_user(
        self, body: wire.ChatRequest, named: str | None, who: keys.Access
    ) -> wire.ChatRequest:
        """The request with its user, None where it is to be a plain completion."""
        for user in (body.user, named):
            if user is not None:
                keys.require_access(who, user)
        if body.memory is False:
            return body.model_copy(update={"user": None})
        if body.user is not None:
            return body
        # Nobody asked for a turn by name: what cannot be one stays a plain completion.
        is_turn = (body.n or 1) == 1 and body.messages[-1].role not in wire.RESULTS
        return body.model_copy(update={"user": (named or who.user) if is_turn else None})

    async def answered(
        self, request: fastapi.Request, body: wire.ChatRequest, began: float
    ) -> responses.Response:
        """The response of a checked request."""
        answer = self.answer(body)
        share = request.scope[guard.SHARE]
        share.require_tokens()
        seat = await self.places.take(body.user, share, cost=body.n or 1)
        streaming = False
        try:
            await seat.run(answer.prepare)
            shape = _Shape(self.name, body, answer)
            events = self._watched(seat, answer, share, began)
            if body.stream:
                streaming = True
                source = self._streamed(seat, shape, events)
                return streams.Events(source, send_seconds=self.cfg.send_seconds)
            texts = [""] * (body.n or 1)
            async for piece in events:
                if piece is not None:
                    texts[piece.choice] += piece.text
            return responses.JSONResponse(shape.whole(texts))
        finally:
            if not streaming:
                answer.leave()
                seat.free()

    def answer(self, body: wire.ChatRequest) -> answers.Plain | answers.SessionTurn:
        """What answers a request, before it begins; an ApiError says what cannot be done."""
        messages = [schema.Message(_ROLES.get(m.role, m.role), m.text()) for m in body.messages]
        self._check(body, messages)
        asked: dict[str, Any] = {
            "max_new_tokens": body.limit,
            "temperature": body.temperature,
            "top_p": body.top_p,
            "top_k": None if body.top_k is None else max(body.top_k, 0),  # -1 is off, too
            "penalty": body.repetition_penalty,
        }
        how = {name: value for name, value in asked.items() if value is not None}
        how |= {"stop": body.stops, "deadline": self.cfg.reply_seconds}
        if body.seed is not None:
            how["seed"] = body.seed % wire.SEEDS
        if body.user is not None:
            place = (body.session, body.replaces)
            return answers.SessionTurn(self.agent, body.user, place, messages, how)
        cfg = self.agent.cfg
        usual = {
            "max_new_tokens": cfg.max_new_tokens,
            "temperature": cfg.temperature,
            "top_k": cfg.top_k,
            "top_p": cfg.top_p,
            "penalty": cfg.penalty,
            "adapters": False,
            "seed": secrets.randbelow(wire.SEEDS),
        }
        return answers.Plain(self.engine, messages, usual | how, body.n or 1)

    def _check(self, body: wire.ChatRequest, messages: list[schema.Message]) -> None:
        cfg, longest = self.cfg, self.engine.longest[1]
        if body.model not in (None, self.name):
            _refuse("model", f"model {ascii(body.model[:60])} is not here; use {self.name!r}.", 404)
        if (wrong := body.unsupported()) is not None:
            _refuse(*wrong)
        if len(messages) > cfg.messages:
            _refuse("messages", f"{len(messages)} messages: at most {cfg.messages} are allowed.")
        chars = sum(len(message.content) for message in messages)
        if chars > cfg.prompt_chars:
            _refuse("messages", f"{chars} characters: at most {cfg.prompt_chars} are allowed.")
        if body.messages[-1].role in wire.RESULTS:
            if body.user is not None:
                _refuse(
                    "messages", "a turn ends in the user's words; leave out user, or the tool's."
                )
            if not any(message.role == "user" for message in body.messages):
                _refuse(
                    "messages", "what a tool gave answers a message of role 'user'; send it too."
                )
        if messages[-1].role != "user" or not turns.clean(messages[-1].content).strip():
            _refuse("messages", "the last message must be the user's, with words in it.")
        if (body.limit or 1) > longest:
            _refuse("max_tokens", f"max_tokens={body.limit}: at most {longest} are allowed.")
        if (body.n or 1) > cfg.choices:
            _refuse("n", f"n={body.n}: at most {cfg.choices} are allowed.")
        if body.user is not None and (body.n or 1) > 1:
            _refuse("n", f"n={body.n} with a user: a turn has one reply; leave out n, or user.")
        if body.user is None and body.session is not None:
            _refuse("session", "a session without a user, or without memory: name the user, too.")
        if body.session is None and body.replaces is not None:
            _refuse("replaces", f"replaces={body.replaces} without a session: name it, too.")
        if body.user is not None and len(messages[-1].content) > turns.MAX_TEXT_CHARS:
            _refuse("messages", f"a turn has at most {turns.MAX_TEXT_CHARS} characters.")

    async def _watched(
        self,
        seat: seats.Seat,
        answer: answers.Plain | answers.SessionTurn,
        share: shares.Share,
        began: float,
    ) -> AsyncGenerator[answers.Piece | None, None]:
        """The pieces of an answer; the meters see when they come, and how many tokens in all."""
        first = last = None
        try:
            async for piece in seat.pieces(answer):
                if piece is not None:
                    last = time.monotonic()
                    first = first or last
                yield piece
        except BaseException:  # the client left: what was generated until then is counted, too
            seat.ended(lambda: self._used(answer, share))
            raise
        usage = self._used(answer, share)
        if first is not None and last is not None:
            self.meters.first.labels(answer.kind).observe(first - began)
            if usage.reply > 1:
                seconds = (last - first) / (usage.reply - 1)
                self.meters.per_token.labels(answer.kind).observe(seconds)

    def _used(
        self, answer: answers.Plain | answers.SessionTurn, share: shares.Share
    ) -> answers.Usage:
        usage = answer.usage()
        share.used(usage.prompt + usage.reply)
        self.meters.tokens.labels("prompt").inc(usage.prompt)
        self.meters.tokens.labels("reply").inc(usage.reply)
        return usage

    async def _streamed(
        self,
        seat: seats.Seat,
        shape: "_Shape",
        events: AsyncGenerator[answers.Piece | None, None],
    ) -> AsyncGenerator[bytes, None]:
        try:
            for chunk in shape.opening():
                yield chunk
            try:
                async for piece in events:
                    yield streams.PING if piece is None else shape.piece(piece)
            except (RuntimeError, LookupError, OSError, ValueError, ArithmeticError) as error:
                yield streams.event(errors.of(error).body())
                return
            for chunk in shape.closing():
                yield chunk
            yield streams.DONE
        finally:
            shape.answer.leave()
            seat.free()


class _Shape:
    """One answer in OpenAI's shapes."""

    def __init__(
        self, model: str, body: wire.ChatRequest, answer: answers.Plain | answers.SessionTurn
    ) -> None:
        self.answer, self._n = answer, body.n or 1
        options = body.stream_options
        self._tell_usage = bool(options and options.include_usage)
        self._placed = False
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, texts: list[str]) -> dict[str, Any]:
        """The response that is no stream."""
        choices = [
            {
                "index": i,
                "message": {"role": "assistant", "content": text},
                "logprobs": None,
                "finish_reason": reason,
            }
            for i, (text, reason) in enumerate(zip(texts, self.answer.reasons(), strict=True))
        ]
        return self._with_made(
            self._head | {"object": "chat.completion", "choices": choices, "usage": self._usage()}
        )

    def opening(self) -> list[bytes]:
        """The first chunks, before any text."""
        return [self._chunk(i, {"role": "assistant", "content": ""}, None) for i in range(self._n)]

    def piece(self, piece: answers.Piece) -> bytes:
        """A chunk of text; the first one says where the turn stands."""
        extra = {} if self._placed else {"pa_jax": self.answer.begun()}
        self._placed = True
        return self._chunk(piece.choice, {"content": piece.text}, None, **extra)

    def closing(self) -> list[bytes]:
        """The last chunks: why each choice ended, what came of the turn, the usage if wanted."""
        reasons = self.answer.reasons()
        chunks = [self._chunk(i, {}, reason) for i, reason in enumerate(reasons[:-1])]
        last = self._with_made({})
        chunks.append(self._chunk(len(reasons) - 1, {}, reasons[-1], **last))
        if self._tell_usage:
            chunks.append(streams.event(self._envelope([]) | {"usage": self._usage()}))
        return chunks

    def _with_made(self, data: dict[str, Any]) -> dict[str, Any]:
        made = self.answer.made()
        return data if made is None else data | {"pa_jax": made}

    def _chunk(self, index: int, delta: dict[str, str], reason: str | None, **extra: Any) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        extra = {name: value for name, value in extra.items() if value is not None}
        usage = {"usage": None} if self._tell_usage else {}
        return streams.event(self._envelope([choice]) | usage | extra)

    def _envelope(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return self._head | {"object": "chat.completion.chunk", "choices": choices}

    def _usage(self) -> dict[str, int]:
        used = self.answer.usage()
        return {
            "prompt_tokens": used.prompt,
            "completion_tokens": used.reply,
            "total_tokens": used.prompt + used.reply,
        }


def _refuse(param: str, message: str, status: int = 400) -> None:
    code = "model_not_found" if status == 404 else "invalid_value"
    raise errors.ApiError(status, message, code=code, param=param)
