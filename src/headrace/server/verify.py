"""Routes that hold the index against the log and the sources."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from headrace.app import App
from headrace.errors import HeadraceError
from headrace.knowledge.report import SHOWN, Difference, Progress, Report, Tally
from headrace.knowledge.verifier import Ask, Verifier
from headrace.server.problems import problem, unexpected
from headrace.server.shapes import json_line, json_response

_EVERY_S = 0.5
logger = structlog.get_logger("headrace.verify")


class VerifyBody(BaseModel):
    """`repair`: put right what differs; `source`: look at the sources too; `limit`: documents that are named."""

    model_config = ConfigDict(extra="forbid")
    repair: bool = False
    source: bool = True
    limit: Annotated[int, Field(ge=0, le=1_000_000)] = SHOWN


def verify_router(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["verify"])

    @router.post("/verify")
    async def verify(body: VerifyBody) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Lines of `progress`, then one of the `report` (or of the `problem` that ended it). Ends with its caller."""
        app.core.verifier.check_free()
        lines = _lines(app.core.verifier, Ask(body.repair, body.source, body.limit))
        return StreamingResponse(lines, media_type="application/x-ndjson")

    @router.get("/verify")
    async def verified() -> Response:  # pyright: ignore[reportUnusedFunction]
        """How far the one is that runs, and what the last one found since the start."""
        verifier = app.core.verifier
        running, last = verifier.running, verifier.last
        return json_response({"running": running and progress_json(running), "last": last and report_json(last)})

    return router


async def _lines(verifier: Verifier, ask: Ask) -> AsyncIterator[bytes]:
    told: asyncio.Queue[Progress] = asyncio.Queue(1)
    said = ("", 0.0)

    def tell(progress: Progress) -> None:
        nonlocal said
        if (progress.step != said[0] or monotonic() - said[1] > _EVERY_S) and not told.full():
            said = (progress.step, monotonic())
            told.put_nowait(progress)

    running = asyncio.create_task(verifier.run(ask, tell), name="verify")
    try:
        while not running.done():
            waiting = asyncio.create_task(told.get())
            await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                yield json_line({"progress": progress_json(waiting.result())})
            waiting.cancel()
        try:
            yield json_line({"report": report_json(await running)})
        except HeadraceError as error:
            yield json_line({"problem": problem(error)})
        except Exception as error:
            logger.exception("a verification failed")
            yield json_line({"problem": problem(unexpected("verify the index", type(error).__name__))})
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def progress_json(progress: Progress) -> dict[str, Any]:
    return {
        "step": progress.step,
        "done": progress.done,
        "total": progress.total,
        "rate": round(progress.rate, 1),
        "eta_s": None if progress.eta_s is None else round(progress.eta_s, 1),
    }


def report_json(report: Report) -> dict[str, Any]:
    return {
        "equal": report.equal,
        "sources": [_tally(t) for t in report.sources],
        "differences": [_difference(d) for d in report.differences],
        "more": report.more,
        "index": list(report.index),
        "repaired": report.repaired,
        "seconds": round(report.seconds, 3),
    }


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "source": tally.source,
        "documents": tally.documents,
        "chunks": tally.chunks,
        "ok": tally.ok,
        "different": tally.different,
        "missing": tally.missing,
        "ghost": tally.ghost,
        "untold": tally.untold,
        "failed": tally.failed,
        "earlier": tally.earlier,
        "compared": tally.compared,
        "notes": tally.notes,
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "document": difference.document,
        "source": difference.source,
        "topic": difference.topic,
        "kind": difference.kind.value,
        "against": "source" if difference.at_source else "log",
        "what": list(difference.what),
    }
