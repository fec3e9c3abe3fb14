"""Routes that answer: `POST /v1/ask` at once, `/ws` as it comes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec
import structlog
from fastapi import APIRouter, Request, Response, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from headrace.access import Viewer
from headrace.answer.asking import Asker, Finished, Question, Stage, Started
from headrace.answer.context import Citation
from headrace.answer.markers import Cited, Delta, FactUsed
from headrace.answer.service import Asked, Reader
from headrace.app import App
from headrace.errors import BadRequest, HeadraceError
from headrace.server.identity import asker_of, viewer_of
from headrace.server.problems import problem, unexpected
from headrace.server.runs import Run, Runs
from headrace.server.shapes import AskBody, age_ms, fact_json, json_response, place_json

logger = structlog.get_logger("headrace.asks")


def ask_router(app: App, runs: Runs) -> APIRouter:
    """Routes over whatever core the app has at the time."""
    router = APIRouter(tags=["answer"])

    @router.post("/v1/ask")
    async def ask(body: AskBody, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """A cited answer from what the sources hold, with how fresh that is."""
        core = app.core
        last: Finished | None = None
        async with contextlib.aclosing(core.asker.ask(_question(app, body, viewer_of(request)))) as events:
            async for event in events:
                if isinstance(event, Finished):
                    last = event
        assert last is not None
        return json_response(answer_json(core.reader, last))

    @router.websocket("/ws")
    async def ws(socket: WebSocket) -> None:  # pyright: ignore[reportUnusedFunction]
        await socket.accept()
        await _Connection(app, runs, socket).serve()

    return router


def answer_json(reader: Reader, done: Finished) -> dict[str, Any]:
    """The body of `/v1/ask`."""
    answer = done.answer
    found: dict[str, Any] = {
        "answer": answer.text,
        "abstained": answer.abstained,
        "citations": [citation_json(reader, c) for c in answer.citations],
        "facts": [fact_json(reader, f) for f in answer.facts],
        **_finish(done),
    }
    if done.degraded:
        found["degraded"] = msgspec.to_builtins(done.degraded)
    return found


def citation_json(reader: Reader, citation: Citation) -> dict[str, Any]:
    return {
        "document": citation.document,
        "chunk": citation.chunk,
        "title": citation.title,
        "heading": citation.heading,
        "quote": citation.quote,
        "start": citation.start,
        "end": citation.end,
        "place": place_json(citation.place),
        "stamp": reader.stamp(citation.stamp),
        "age_ms": age_ms(citation.stamp.committed_at),
        **({} if citation.superseded_by is None else {"superseded_by": citation.superseded_by}),
    }


def _finish(done: Finished) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "conversation": done.conversation,
        "token": done.token,
        "freshness_ms": None if done.freshness_ms is None else round(done.freshness_ms, 3),
        "total_ms": round(done.total_ms, 3),
    }
    if done.freshness_reason:
        shown["freshness_reason"] = done.freshness_reason
    return shown


def _question(app: App, body: AskBody, viewer: Viewer) -> Question:
    user = asker_of(viewer, body.user, app.config.server.user_type)
    asked = Asked(body.after, body.as_of, body.wait_ms, viewer)
    return Question(body.question, user, body.conversation, asked, body.rerank)


class _Connection:
    """One WebSocket: starts runs, follows them, picks up those of an earlier connection."""

    def __init__(self, app: App, runs: Runs, socket: WebSocket) -> None:
        self._app = app
        self._runs = runs
        self._socket = socket
        self._viewer = viewer_of(socket)
        self._following: dict[str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        try:
            while True:
                await self._act(await self._socket.receive_text())
        except WebSocketDisconnect:
            pass  # the client has gone; its runs may be resumed for a while
        finally:
            for task in self._following.values():
                task.cancel()

    async def _act(self, text: str) -> None:
        try:
            frame = msgspec.json.decode(text, type=dict[str, Any])
            match frame.pop("action", None):
                case "send":
                    run = self._runs.start(self._viewer, _produce, self._app, self._question(frame))
                    self._follow(run, 0)
                case "cancel":
                    self._run(frame).cancel()
                case "resume":
                    self._follow(self._run(frame), int(frame.get("seq", 0)))
                case other:
                    raise _bad(f"action {other!r}")
        except HeadraceError as error:
            await self._refuse(error)
        except RecursionError:
            await self._refuse(_bad("one that is nested too deep"))
        except (msgspec.DecodeError, ValidationError, ValueError, TypeError) as error:
            await self._refuse(_bad(str(error).splitlines()[0]))

    def _question(self, frame: dict[str, Any]) -> Question:
        return _question(self._app, AskBody.model_validate(frame), self._viewer)

    def _run(self, frame: dict[str, Any]) -> Run:
        """One's own."""
        return self._runs.get(str(frame.get("run")), self._viewer)

    async def _refuse(self, error: HeadraceError) -> None:
        chunk = {"type": "error", "errorText": str(error), "problem": problem(error)}
        await self._socket.send_text(msgspec.json.encode({"v": 1, "run": "", "seq": 0, "chunk": chunk}).decode())

    def _follow(self, run: Run, after: int) -> None:
        earlier = self._following.pop(run.id, None)
        if earlier:
            earlier.cancel()
        task = asyncio.create_task(self._send(run, after))
        self._following[run.id] = task
        task.add_done_callback(lambda _: self._following.pop(run.id, None))

    async def _send(self, run: Run, after: int) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it has gone: `serve` hears it too
            async with contextlib.aclosing(run.frames(after)) as frames:
                async for frame in frames:
                    await self._socket.send_text(frame)


async def _produce(run: Run, app: App, question: Question) -> None:
    """Turns an answer's events into a run's chunks; errors are chunks too."""
    try:
        core = app.core
        await _chunks(run, core.asker, core.reader, question)
    except asyncio.CancelledError:
        run.put({"type": "abort", "reason": "cancelled"})
    except HeadraceError as error:
        run.put({"type": "error", "errorText": str(error), "problem": problem(error)})
    except Exception as error:
        logger.exception("an answer failed")
        failure = unexpected("answer the question", type(error).__name__)
        run.put({"type": "error", "errorText": str(failure), "problem": problem(failure)})


async def _chunks(run: Run, asker: Asker, reader: Reader, question: Question) -> None:
    open_text = False
    async with contextlib.aclosing(asker.ask(question)) as events:
        async for event in events:
            match event:
                case Started():
                    run.put({"type": "start", "conversation": event.conversation, "messageId": run.id})
                case Stage():
                    run.put({"type": "data-stage", "data": {"stage": event.stage, "ms": round(event.ms, 3)}})
                case Delta():
                    if not open_text:
                        run.put({"type": "text-start", "id": "0"})
                    open_text = True
                    run.put({"type": "text-delta", "id": "0", "delta": event.text})
                case Cited():
                    run.put({"type": "data-citation", "data": citation_json(reader, event.citation)})
                case FactUsed():
                    run.put({"type": "data-fact", "data": fact_json(reader, event.fact)})
                case Finished():
                    if open_text:
                        run.put({"type": "text-end", "id": "0"})
                    data = {"abstained": event.answer.abstained, **_finish(event)}
                    if event.degraded:
                        data["degraded"] = msgspec.to_builtins(event.degraded)
                    run.put({"type": "finish", "data": data})
                case _:
                    pass  # Done comes inside Finished


def _bad(got: str) -> BadRequest:
    return BadRequest(
        step="read a WebSocket frame",
        expected='{"action": "send", "question": …}, or "cancel" or "resume" with a run',
        got=got[:200],
        remedy="See docs/answers.md for the frames.",
    )
