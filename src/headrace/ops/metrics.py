"""The status as Prometheus metrics; docs/operations.md lists them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

Labelled = Callable[..., None]


@dataclass(frozen=True, slots=True)
class PushRequests:
    """What came to `/v1/changes` since the process began: requests by (source, status), bytes by source."""

    answered: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    received: Counter[str] = field(default_factory=Counter[str])


class _Sheet:
    """The metrics of one scrape, made anew each time so that nothing stale is told."""

    def __init__(self) -> None:
        self._metrics: list[Metric] = []

    def gauge(self, name: str, about: str, *labels: str) -> Labelled:
        family = GaugeMetricFamily(f"headrace_{name}", about, labels=labels)
        self._metrics.append(family)
        return lambda *values: family.add_metric([str(v) for v in values[:-1]], values[-1])

    def counter(self, name: str, about: str, *labels: str) -> Labelled:
        family = CounterMetricFamily(f"headrace_{name}", about, labels=labels)
        self._metrics.append(family)
        return lambda *values: family.add_metric([str(v) for v in values[:-1]], values[-1])

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)


def collect(status: dict[str, Any], pushed: PushRequests) -> CollectorRegistry:
    """A registry filled from one status."""
    sheet = _Sheet()
    _sources(sheet, status["sources"])
    _snapshots(sheet, status["sources"])
    _pushes(sheet, status["sources"], pushed)
    _topics(sheet, status["topics"])
    _operators(sheet, status["operators"])
    documents = sheet.gauge("documents", "Present documents", "stage")
    for stage, count in status["documents"]["by_stage"].items():
        documents(stage, count)
    renewal = status["renewal"]
    due = (renewal["total"] or 0) - renewal["done"] if renewal["state"] != "done" else sum(renewal["left"].values())
    sheet.gauge("documents_of_earlier_settings", "Present documents yet to be made anew")(max(due, 0))
    _telling(sheet, status["telling"])
    _embedders(sheet, status["embedders"])
    if status["reranker"] is not None:
        _reranker(sheet, status["reranker"])
    sheet.gauge("profiles", "Present profiles")(status["profiles"])
    sheet.gauge("store_bytes", "Size of the store")(status["store"]["bytes"])
    _index(sheet, status["store"]["index"])
    registry = CollectorRegistry()
    registry.register(sheet)
    return registry


def _telling(sheet: _Sheet, told: dict[str, Any]) -> None:
    """Labels and summaries that language models tell of documents."""
    sheet.gauge("documents_untold", "Present documents that language models have yet to tell of")(told["left"])
    asked = sheet.counter("told_requests", "What came of asking language models about documents", "step", "outcome")
    for step in told["steps"]:
        for outcome in ("asked", "recalled", "errors", "bad", "given_up"):
            asked(step["name"], outcome, step[outcome])


def _embedders(sheet: _Sheet, embedders: list[dict[str, Any]]) -> None:
    """Of those behind an address, since the process began."""
    up = sheet.gauge("embedding_up", "1 while the service is asked, 0 while it is left alone", "model")
    counted = {
        "requests": sheet.counter("embedding_requests", "Requests to the service that embeds", "model"),
        "failures": sheet.counter("embedding_failures", "Those that failed", "model"),
        "texts": sheet.counter("embedding_texts", "Texts that it embedded", "model"),
        "tokens": sheet.counter("embedding_tokens", "Their tokens, as it counts them", "model"),
    }
    cost = sheet.counter("embedding_cost", "What they cost, in the currency of the address' price", "model")
    for embedder in embedders:
        model, service = embedder["model"], embedder["service"]
        if service is None:
            continue
        up(model, embedder["state"] != "open")
        for name, tell in counted.items():
            tell(model, service[name])
        if service["cost"] is not None:
            cost(model, service["cost"])


def _reranker(sheet: _Sheet, reranker: dict[str, Any]) -> None:
    model, service = reranker["model"], reranker["service"]
    sheet.gauge("rerank_up", "1 while the reranker is asked, 0 while it is left alone", "model")(
        model, reranker["state"] != "open"
    )
    searches = sheet.counter("rerank_searches", "Searches by what became of their reranking", "model", "outcome")
    for outcome, count in reranker["searches"].items():
        searches(model, outcome, count)
    sheet.counter("rerank_passages", "Passages that were scored", "model")(model, reranker["passages"])
    sheet.counter("rerank_seconds", "Time that searches waited for it", "model")(model, reranker["seconds"])
    if service is None:
        return
    sheet.counter("rerank_requests", "Requests to the service that reranks", "model")(model, service["requests"])
    sheet.counter("rerank_failures", "Those that failed", "model")(model, service["failures"])
    sheet.counter("rerank_tokens", "Tokens, as it counts them", "model")(model, service["tokens"])
    if service["cost"] is not None:
        cost = sheet.counter("rerank_cost", "What they cost, in the currency of the address' prices", "model")
        cost(model, service["cost"])


def _index(sheet: _Sheet, index: dict[str, Any]) -> None:
    sheet.gauge("index_waiting_chunks", "Present chunks that wait for the vector index")(index["waiting"])
    done = sheet.gauge("index_build_chunks", "Chunks that an index being built has gone through")
    total = sheet.gauge("index_build_chunks_expected", "How many it will hold")
    if building := index["building"]:
        done(building["done"])
        total(building["total"])


def _sources(sheet: _Sheet, sources: list[dict[str, Any]]) -> None:
    fresh = sheet.gauge("source_freshness_seconds", "Nothing committed longer ago is missing", "source")
    up = sheet.gauge("source_up", "1 while the source is read", "source")
    rate = sheet.gauge("source_changes_per_second", "Captured changes", "source")
    errors = sheet.counter("source_errors", "Failures to read the source", "source")
    retained = sheet.gauge("source_retained_bytes", "WAL that the source's server keeps for us", "source")
    limit = sheet.gauge("source_retained_limit_bytes", "From how much on on_lag is carried out", "source")
    for source in sources:
        name = source["name"]
        up(name, source["state"] != "down")
        rate(name, source["rate"])
        errors(name, source["errors"])
        if source["freshness_ms"] is not None:
            fresh(name, source["freshness_ms"] / 1000)
        if source["retained"] is not None:
            retained(name, source["retained"]["bytes"])
            limit(name, source["retained"]["max_bytes"])


def _snapshots(sheet: _Sheet, sources: list[dict[str, Any]]) -> None:
    """Of what runs now: the first copy of a source (its table is empty), and tables that are read beside the stream."""
    labels = ("source", "table")
    done = sheet.gauge("snapshot_rows", "Rows read so far", *labels)
    total = sheet.gauge("snapshot_rows_expected", "Rows expected in all", *labels)
    rate = sheet.gauge("snapshot_rows_per_second", "Rows read", *labels)
    left = sheet.gauge("snapshot_remaining_seconds", "Time to go at this rate", *labels)
    states = sheet.gauge("snapshots", "Snapshots beside the stream that wait, run, or ended lately", "source", "state")
    for source in sources:
        name, jobs = source["name"], source["snapshots"]
        running = [("", source["snapshot"])] if source["snapshot"] else []
        # The first of a table's: those that wait behind it have the same labels, and a series stands once in a scrape.
        running += {j["table"]: j for j in reversed(jobs) if not j["ended_at"]}.items()
        for table, job in running:
            done(name, table, job["done"])
            for told, key in ((total, "total"), (rate, "rate"), (left, "eta_s")):
                if job[key] is not None:
                    told(name, table, job[key])
        for state, count in sorted(Counter(j["state"] for j in jobs).items()):
            states(name, state, count)


def _pushes(sheet: _Sheet, sources: list[dict[str, Any]], pushed: PushRequests) -> None:
    requests = sheet.counter("push_requests", "Requests to /v1/changes by their answer", "source", "status")
    size = sheet.counter("push_bytes", "Bytes of their bodies as they came", "source")
    records = sheet.counter("push_records", "Records by what came of them", "source", "outcome")
    waiting = sheet.gauge("push_waiting", "Changes that wait for the log", "source")
    for (name, status), count in sorted(pushed.answered.items()):
        requests(name, status, count)
    for name, count in sorted(pushed.received.items()):
        size(name, count)
    for source in sources:
        if source["pushed"] is not None:
            waiting(source["name"], source["pushed"]["waiting"])
            for outcome in ("accepted", "duplicates", "ignored", "rejected"):
                records(source["name"], outcome, source["pushed"][outcome])


def _topics(sheet: _Sheet, topics: list[dict[str, Any]]) -> None:
    changes = sheet.gauge("topic_changes", "Changes ever appended", "topic")
    size = sheet.gauge("topic_bytes", "Bytes ever appended", "topic")
    for topic in topics:
        changes(topic["name"], topic["changes"])
        size(topic["name"], topic["bytes"])


def _operators(sheet: _Sheet, operators: list[dict[str, Any]]) -> None:
    labels = ("operator", "source")
    lag = sheet.gauge("operator_lag_changes", "Changes not yet applied", *labels)
    lag_s = sheet.gauge("operator_lag_seconds", "Age of the newest applied change while others wait", *labels)
    dead = sheet.gauge("dead_letters", "Open dead letters", *labels)
    for operator in operators:
        names = (operator["name"], operator["source"])
        lag(*names, operator["lag"]["changes"])
        lag_s(*names, operator["lag"]["ms"] / 1000)
        dead(*names, operator["dead_letters"])
