"""How the command line shows snapshots while they run: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from headrace.client import Client
from headrace.findings import Finding, note, ok, warning

Shown = dict[str, Any]
_EVERY_S = 0.5
_LINE_EVERY = 10


async def follow(client: Client, jobs: Sequence[Shown], *, as_json: bool, terminal: Console) -> bool:
    """Shows the jobs until all have ended; whether all are done."""
    ids = [j["id"] for j in jobs]
    bars = None if as_json or not terminal.is_terminal else _Bars(terminal)
    rounds = 0
    try:
        while any(not j["ended_at"] for j in jobs):
            if bars:
                bars.show(jobs)
            elif rounds % _LINE_EVERY == 0:
                _tell([j for j in jobs if not j["ended_at"]], as_json=as_json)
            rounds += 1
            await asyncio.sleep(_EVERY_S)
            found = {j["id"]: j for j in (await client.get("/v1/snapshots"))["snapshots"]}
            jobs = [found.get(j["id"], j) for j in jobs]
        if bars:
            bars.show(jobs)
    finally:
        if bars:
            bars.stop()
    _tell([j for j in jobs if j["id"] in ids], as_json=as_json)
    return all(j["state"] == "done" for j in jobs)


def snapshot_line(job: Shown) -> str:
    """`airline-3  public.flights  done  1000 rows, 2 deleted`"""
    of = f" of about {job['total']}" if job["total"] and not job["ended_at"] else ""
    parts = [f"{job['done']}{of} rows"]
    if job["deleted"]:
        parts.append(f"{job['deleted']} deleted")
    if not job["ended_at"]:
        parts.append(f"{job['rate']:.0f} rows/s")
        if job["eta_s"] is not None:
            parts.append(f"about {job['eta_s']:.0f} s to go")
    line = f"{job['id']}  {job['table']}  {job['state']}  {', '.join(parts)}"
    return "; ".join([line, *(job[k] for k in ("problem", "note") if job[k])])


def renewal_findings(status: Shown) -> Sequence[Finding]:
    """What `renewal` and `succession` of the status say, for `headrace doctor`."""
    told = status["renewal"]
    found: list[Finding] = []
    if line := succession_line(status["succession"]):
        found.append(note("model", line))
    if told["state"] != "done":
        found.append(note("steps", renewal_line(told) or "not looked at yet"))
    for topic, documents in told["left"].items():
        found.append(
            warning(
                "steps",
                expected=f"every document of {topic} as the settings of now make it",
                got=f"{documents} of earlier settings, which the log has forgotten",
                remedy=f"Read them again: headrace snapshot {topic} (a push: source is pushed again, files saved).",
            )
        )
    if line := telling_line(status["telling"]):
        found.append(note("telling", line))
    return found or [ok("steps", "every document is as the settings of now make it")]


def renewal_line(told: Shown) -> str:
    """`made anew: 120 of 4000 documents, 85/s, about 46 s to go (docs: redact)`; empty when there is nothing to do."""
    if told["state"] == "done" or not told["total"]:
        return ""
    parts = [f"made anew: {told['done']} of {told['total']} documents"]
    if told["done"] and told["eta_s"] is not None:
        parts.append(f"{told['rate']:.0f}/s, about {told['eta_s']:.0f} s to go")
    steps = "; ".join(f"{t}: {', '.join(s or 'not known' for s in names)}" for t, names in told["changed"].items())
    return f"{', '.join(parts)} ({steps})"


def telling_line(told: Shown) -> str:
    """`told of by language models: 1200 documents to go, 0.8/s, about 1500 s`, and why it waits; empty without any."""
    if not told["left"]:
        return ""
    parts = [f"told of by language models: {told['left']} documents to go"]
    if told["eta_s"] is not None:
        parts.append(f"{told['rate']:.1f}/s, about {told['eta_s']:.0f} s")
    return ", ".join(parts) + (f"; waits: {told['error']}" if told["error"] else "")


def succession_line(told: Shown | None) -> str:
    """`vectors of another model: 1200 of 30000 chunks, 85/s, about 340 s to go (a/… to b/…)`; empty without."""
    if told is None:
        return ""
    parts = [f"vectors of another model: {told['done']} of {told['total'] or '?'} chunks"]
    if told["eta_s"] is not None:
        parts.append(f"{told['rate']:.0f}/s, about {told['eta_s']:.0f} s to go")
    return f"{', '.join(parts)} ({told['from']} to {told['to']})"


def service_line(embedder: Shown) -> str:
    """`embedding: 1200 texts, 90000 tokens, cost 0.018; left alone until …: status 500 (openai+https://…)`; empty for
    a model in the process."""
    service = embedder["service"]
    if service is None:
        return ""
    about = "about " if service["estimated"] else ""
    said = f"embedding: {service['texts']} texts, {about}{service['tokens']} tokens"
    if service["cost"] is not None:
        said += f", cost {service['cost']:g}"
    if service["again_at"]:
        said += f"; left alone until {service['again_at']}: {service['reason']}"
    elif service["reason"]:
        said += f"; failing: {service['reason']}"
    return f"{said} ({embedder['model']})"


def reranker_line(reranker: Shown | None) -> str:
    """`reranking: 120 searches in 0.21 s each, 2 too late, 1 failed; left alone until … (model)`; empty without one."""
    if reranker is None:
        return ""
    came = reranker["searches"]
    said = f"reranking: {came['done']} searches"
    if asked := came["done"] + came["late"] + came["failed"]:
        said += f" in {reranker['seconds'] / asked:.2f} s each"
    parts = [said, *(f"{came[n]} {words}" for n, words in _NOT_RERANKED.items() if came[n])]
    service: Shown = reranker["service"] or {}
    if service.get("cost") is not None:
        parts.append(f"cost {service['cost']:g}")
    said = ", ".join(parts)
    if until := reranker["again_at"] or service.get("again_at"):
        said += f"; left alone until {until}"
    if service.get("reason"):
        said += f": {service['reason']}"
    return f"{said} ({reranker['model']})"


_NOT_RERANKED = {"late": "too late", "failed": "failed", "skipped": "without it"}


def degraded_lines(answer: Shown) -> list[str]:
    """Which model an answer had to do without, if any."""
    told = answer.get("degraded")
    return [] if told is None else [f"degraded: {told['step']}: {told['got']}. {told['remedy']}"]


def _tell(jobs: Sequence[Shown], *, as_json: bool) -> None:
    for job in jobs:
        sys.stdout.write((json.dumps(job, ensure_ascii=False) if as_json else snapshot_line(job)) + "\n")
    sys.stdout.flush()


class _Bars:
    """One bar a table."""

    def __init__(self, terminal: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.0f} rows/s"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"),
            console=terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def show(self, jobs: Sequence[Shown]) -> None:
        for job in jobs:
            if job["id"] not in self._tasks:
                self._tasks[job["id"]] = self._progress.add_task(
                    job["table"], total=job["total"], rate=0.0, state=job["state"]
                )
            total = job["done"] if job["ended_at"] else job["total"]
            self._progress.update(
                self._tasks[job["id"]], completed=job["done"], total=total, rate=job["rate"], state=job["state"]
            )

    def stop(self) -> None:
        self._progress.stop()
