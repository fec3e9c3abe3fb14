"""Routes that read tables again beside their stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from headrace.app import App
from headrace.app.core import Core
from headrace.clock import rfc3339
from headrace.engines.snapshots import all_jobs, ask, cancel, shown_id
from headrace.errors import SourceError
from headrace.server.shapes import json_response
from headrace.sources import SnapshotJob

Key = Annotated[str, Field(min_length=1, max_length=2000)]


class SnapshotBody(BaseModel):
    """`tables`: source.schema.table or a pattern; `from`, `to`: keys, both included, their values joined by `,`."""

    model_config = ConfigDict(extra="forbid")
    tables: Annotated[str, Field(min_length=1, max_length=500)]
    first: Annotated[Key | None, Field(alias="from")] = None
    last: Annotated[Key | None, Field(alias="to")] = None


def snapshot_router(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["snapshots"])

    @router.post("/snapshots", status_code=202)
    async def start(body: SnapshotBody) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Reads tables again beside the stream, and deletes what only the log still has of them."""
        jobs = await ask(_running(app).engine.sources, body.tables, body.first, body.last)
        return json_response({"snapshots": shown(jobs)}, 202)

    @router.get("/snapshots")
    async def snapshots() -> Response:  # pyright: ignore[reportUnusedFunction]
        """Those that wait, run, or ended lately, oldest first."""
        return json_response({"snapshots": shown(all_jobs(app.core.engine.sources.values()))})

    @router.delete("/snapshots/{id}")
    async def stop(id: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Ends one; what it has given stays."""
        (cancelled,) = shown([await cancel(_running(app).engine.sources, id)])
        return json_response(cancelled)

    return router


def shown(jobs: Sequence[SnapshotJob]) -> list[dict[str, Any]]:
    """As every face shows them."""
    return [_shown(j) for j in jobs]


def _shown(job: SnapshotJob) -> dict[str, Any]:
    left = None if job.total is None else max(job.total - job.done, 0)
    return {
        "id": shown_id(job),
        "source": job.source,
        "table": job.table,
        "reason": job.reason,
        "state": job.state.value,
        "done": job.done,
        "total": None if job.total is None else max(job.total, job.done),
        "deleted": job.deleted,
        "chunks": job.chunk,
        "rate": round(job.rate, 1),
        "eta_s": round(left / job.rate, 1) if left is not None and job.rate and not job.ended_at else None,
        "started_at": rfc3339(job.started_at),
        "ended_at": rfc3339(job.ended_at) if job.ended_at else None,
        "problem": job.problem,
        "note": job.note,
    }


def _running(app: App) -> Core:
    core = app.core
    if not core.engine.started.is_set():
        raise SourceError(
            step="read tables again",
            expected="a Headrace that is running",
            got="one that only answers",
            remedy="Start `headrace up`, then ask again.",
        )
    return core
