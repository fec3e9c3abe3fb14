"""Routes that tell how things are: status, dead letters, health, metrics."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from headrace.answer.rerank import Ranking
from headrace.app import App
from headrace.app.core import Core
from headrace.change import format_position, stamp_json
from headrace.clock import now_us, rfc3339
from headrace.engines.embedded import CAPTURE, EmbeddedEngine
from headrace.engines.snapshots import all_jobs
from headrace.errors import EmbeddingError
from headrace.inbox import Inbox
from headrace.knowledge.renewing import Renewing
from headrace.knowledge.stages import Stage
from headrace.knowledge.succession import Succession
from headrace.knowledge.teller import Teller
from headrace.log import SourceHead
from headrace.models import Embedder, Served, ServedReranker, Service
from headrace.ops.metrics import PushRequests, collect
from headrace.server.registry import applied, coming
from headrace.server.shapes import json_response
from headrace.server.snapshots import shown
from headrace.server.verify import progress_json
from headrace.sources import Retained, Retaining, Snapshotting, Source
from headrace.stores import Indexing
from headrace.stores.dead_letters import DeadLetter
from headrace.uploads import Uploads


def status_router(app: App, pushed: PushRequests) -> APIRouter:
    """Routes over whatever core the app has at the time; `pushed` counts what came in."""
    router = APIRouter(tags=["status"])

    @router.get("/healthz")
    async def healthz() -> Response:
        """The process answers."""
        return json_response({"status": "ok"})

    @router.get("/readyz")
    async def readyz() -> Response:
        """The store is up, the sources are being read, and pushes and uploads are taken."""
        if not app.core.engine.ready:
            return json_response({"status": "starting"}, 503)
        return json_response({"status": "ready"})

    @router.get("/v1/status")
    async def status() -> Response:
        """Per source, topic and operator: position, lag, rate, errors, dead letters."""
        return json_response(await describe(app))

    @router.get("/v1/deadletters")
    async def dead_letters(all: bool = False, limit: int = 1000) -> Response:
        """Inputs that could not be processed, newest first; with `all` also those settled since."""
        letters = await app.core.store.letters(open_only=not all, limit=min(max(limit, 1), 10_000))
        return json_response({"dead_letters": [_letter(app.core.engine, x) for x in letters]})

    @router.post("/v1/deadletters/{id}/retry")
    async def retry(id: int) -> Response:
        """Tries one again; `settled` says whether it worked."""
        return json_response({"id": id, "settled": await app.core.engine.retry(id)})

    @router.get("/metrics")
    async def metrics() -> Response:
        """The status as Prometheus metrics."""
        return Response(generate_latest(collect(await describe(app), pushed)), media_type=CONTENT_TYPE_LATEST)

    return router


async def describe(app: App) -> dict[str, Any]:
    """The status as JSON."""
    core = app.core
    engine = core.engine
    heads = {h.source: h for h in await core.log.heads()}
    letters = await core.store.letters()
    ready, failed, profiles, version, size = await core.store.counts()
    presigned = {"min_bytes": app.presigning.min_bytes} if app.presigning else None
    sources = [_source(engine, s, heads.get(s.name), letters, presigned) for s in engine.sources.values()]
    embedders = [_embedder(e) for e in app.models.embedders]
    reranker = None if app.models.ranking is None else _reranker(app.models.ranking)
    return {
        "status": "ok" if _works(sources, [*embedders, *([reranker] if reranker else [])]) else "degraded",
        "started_at": rfc3339(app.started_at),
        "sources": sources,
        "topics": await _topics(app),
        "operators": [
            _operator(engine, o, heads[s], letters) for s in engine.sources if s in heads for o in engine.operators
        ],
        "documents": {"total": ready + failed, "by_stage": {"ready": ready, "failed": failed, **_coming(core)}},
        "renewal": _renewal(core.renewal.now),
        "succession": _succession(core.renewal.succession),
        "telling": _telling(core.teller),
        "embedders": embedders,
        "reranker": reranker,
        "profiles": profiles,
        "store": {"version": version, "bytes": size, "index": _index(await core.store.indexing())},
    }


def _works(sources: list[dict[str, Any]], models: list[dict[str, Any]]) -> bool:
    return all(s["state"] != "down" for s in sources) and all(m["state"] != "open" for m in models)


def _embedder(embedder: Embedder) -> dict[str, Any]:
    """Those behind an address also with how it goes with the service."""
    shown: dict[str, Any] = {"model": embedder.id, "dimensions": _dimensions(embedder), "state": "ok", "service": None}
    if not isinstance(embedder, Served):
        return shown
    return {**shown, "state": embedder.service.state, "service": _service(embedder.service)}


def _reranker(ranking: Ranking) -> dict[str, Any]:
    """What became of searches, and how it goes with a service. It is `open`, too, while it is left alone for being too
    slow."""
    came, again_at = ranking.outcomes, ranking.again_at
    service = ranking.reranker.service if isinstance(ranking.reranker, ServedReranker) else None
    return {
        "model": ranking.reranker.id,
        "state": "open" if again_at is not None else service.state if service else "ok",
        "again_at": None if again_at is None else rfc3339(again_at),
        "searches": {name: getattr(came, name) for name in ("done", "late", "failed", "skipped")},
        "passages": came.passages,
        "seconds": round(came.seconds, 6),
        "service": None if service is None else _service(service),
    }


def _service(seen: Service) -> dict[str, Any]:
    return {
        "reason": seen.reason,
        "again_at": rfc3339(seen.again_at) if seen.again_at is not None else None,
        **{n: getattr(seen, n) for n in ("requests", "failures", "texts", "tokens", "estimated")},
        "cost": None if seen.cost is None else round(seen.cost, 6),
    }


def _dimensions(embedder: Embedder) -> int | None:
    """None of a service that has not answered yet."""
    try:
        return embedder.dimensions
    except EmbeddingError:
        return None


def _coming(core: Core) -> dict[str, int]:
    """Versions on their way into the index, by stage; those that there are."""
    at_work = core.stages.counts(lambda source: applied(core, source))
    counted = {stage.value: n for stage, n in at_work.items()}
    received = sum(one.stage is Stage.RECEIVED for one in coming(core))
    return {**counted, **({Stage.RECEIVED.value: received} if received else {})}


def _source(
    engine: EmbeddedEngine,
    source: Source,
    head: SourceHead | None,
    letters: object,
    presigned: dict[str, int] | None,
) -> dict[str, Any]:
    track = engine.tracker.sources.get(source.name)
    meter = engine.captured[source.name]
    copying = source.snapshot
    freshness = engine.tracker.freshness(source.name) if track else None
    problem = source.problem
    reason = str(problem) if problem else (track.down if track else "it is starting")
    return {
        "name": source.name,
        "kind": source.kind,
        "url": source.address,
        "state": _state(reason, copying is not None, freshness),
        "position": format_position(track.frontier, source.style) if track else None,
        "committed_at": rfc3339(head.committed_at) if head and head.number else None,
        "freshness_ms": freshness,
        "reason": reason,
        "snapshot": _snapshot(copying.done, copying.total, copying.started_at) if copying else None,
        "snapshots": shown(all_jobs([source])),
        "reads_again": isinstance(source, Snapshotting),
        "retained": _retained(source.retained) if isinstance(source, Retaining) else None,
        "pushed": dataclasses.asdict(source.counts) if isinstance(source, Inbox) else None,
        "uploads": _uploads(source, presigned) if isinstance(source, Uploads) else None,
        "rate": round(meter.rate, 2),
        "errors": meter.errors,
        "last_error": meter.last_error,
    }


def _uploads(source: Uploads, presigned: dict[str, int] | None) -> dict[str, Any]:
    return {"documents": source.count, "max_bytes": source.max_bytes, "presigned": presigned}


def _retained(seen: Retained | None) -> dict[str, Any] | None:
    if seen is None:
        return None
    said = {"status": seen.status, "on_lag": seen.policy, "advice": seen.advice or None}
    return {"bytes": seen.bytes, "max_bytes": seen.limit, **said}


def _state(reason: str | None, copying: bool, freshness: float | None) -> str:
    if reason:
        return "down"
    if copying:
        return "snapshot"
    return "streaming" if freshness is not None else "starting"


def _snapshot(done: int, total: int, started_at: int) -> dict[str, Any]:
    seconds = max((now_us() - started_at) / 1e6, 0.001)
    rate = done / seconds
    left = max(total - done, 0)
    return {"done": done, "total": total, "rate": round(rate, 1), "eta_s": round(left / rate, 1) if rate else None}


def _index(seen: Indexing) -> dict[str, Any]:
    made = seen.building
    building = _snapshot(made.done, made.total, made.started_at) if made else None
    return {"waiting": seen.waiting, "building": building}


async def _topics(app: App) -> list[dict[str, Any]]:
    topics: dict[str, dict[str, Any]] = {}
    for p in await app.core.log.topics():
        topic = topics.setdefault(
            p.topic, {"name": p.topic, "source": p.source, "partitions": [], "changes": 0, "bytes": 0}
        )
        topic["partitions"].append({"partition": p.partition, "next_offset": p.next, "first_offset": p.first})
        topic["changes"] += p.changes
        topic["bytes"] += p.bytes
    return list(topics.values())


def _operator(
    engine: EmbeddedEngine, operator: str, head: SourceHead, letters: list[DeadLetter] | Any
) -> dict[str, Any]:
    applied = engine.tracker.applied(operator, head.source)
    meter = engine.meter(operator, head.source)
    behind = head.number > applied.number
    lag_ms = max(0, now_us() - applied.committed_at) / 1000 if behind and applied.number else 0.0
    return {
        "name": operator,
        "source": head.source,
        "position": format_position(applied.position, engine.sources[head.source].style),
        "lag": {
            "changes": max(0, head.changes_total - applied.changes_total),
            "bytes": max(0, head.bytes_total - applied.bytes_total),
            "ms": round(lag_ms, 1),
        },
        "rate": round(meter.rate, 2),
        "errors": meter.errors,
        "dead_letters": sum(1 for x in letters if x.operator == operator and x.source == head.source),
    }


def _renewal(now: Renewing) -> dict[str, Any]:
    progress = progress_json(now.progress)
    return {
        "state": now.state,
        **{name: progress[name] for name in ("done", "total", "rate", "eta_s")},
        "changed": {topic: list(steps) for topic, steps in now.changed.items()},
        "left": dict(now.left),
    }


def _succession(of: Succession | None) -> dict[str, Any] | None:
    if of is None:
        return None
    progress = progress_json(of.progress)
    return {"from": of.before, "to": of.model} | {n: progress[n] for n in ("done", "total", "rate", "eta_s")}


def _telling(teller: Teller) -> dict[str, Any]:
    """What language models tell of documents, and what came of asking them since the start."""
    now = teller.now
    return {
        "state": now.state,
        "done": now.done,
        "left": now.left,
        "rate": round(now.rate, 3),
        "eta_s": None if now.eta_s is None else round(now.eta_s, 1),
        "error": now.error,
        "labels": [label for a in teller.asked for label in a.task.labels],
        "steps": [{"name": a.name, "model": a.model, **dataclasses.asdict(a.counts)} for a in teller.asked],
    }


def _letter(engine: EmbeddedEngine, letter: DeadLetter) -> dict[str, Any]:
    source = engine.sources.get(letter.source)
    # Of capture it is the input itself, as its source keeps it.
    record = msgspec.Raw(letter.change) if letter.operator == CAPTURE and letter.change else None
    shown = stamp_json(letter.stamp, source.style) if source else {"position": str(letter.stamp.position.major)}
    return {
        "id": letter.id,
        "source": letter.source,
        "topic": letter.topic,
        "key": letter.key,
        "position": shown["position"],
        "operator": letter.operator,
        **msgspec.to_builtins(letter.failure),
        "at": rfc3339(letter.at),
        "attempts": letter.attempts,
        "resolved_at": rfc3339(letter.resolved_at) if letter.resolved_at else None,
        **({} if record is None else {"input": record}),
    }
