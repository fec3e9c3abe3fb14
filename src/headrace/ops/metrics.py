"""The status as Prometheus metrics."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Gauge


def collect(status: dict[str, Any]) -> CollectorRegistry:
    """A registry filled from one status; made anew at each scrape, so that nothing stale is told."""
    registry = CollectorRegistry()

    def gauge(name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"headrace_{name}", about, labels, registry=registry)

    fresh = gauge("source_freshness_seconds", "Nothing committed longer ago is missing", "source")
    up = gauge("source_up", "1 while the source is read", "source")
    rate = gauge("source_changes_per_second", "Captured changes", "source")
    for source in status["sources"]:
        up.labels(source["name"]).set(source["state"] != "down")
        rate.labels(source["name"]).set(source["rate"])
        if source["freshness_ms"] is not None:
            fresh.labels(source["name"]).set(source["freshness_ms"] / 1000)
    changes = gauge("topic_changes", "Changes ever appended", "topic")
    size = gauge("topic_bytes", "Bytes ever appended", "topic")
    for topic in status["topics"]:
        changes.labels(topic["name"]).set(topic["changes"])
        size.labels(topic["name"]).set(topic["bytes"])
    lag = gauge("operator_lag_changes", "Changes not yet applied", "operator", "source")
    lag_s = gauge("operator_lag_seconds", "Age of the newest applied change while others wait", "operator", "source")
    dead = gauge("dead_letters", "Open dead letters", "operator", "source")
    for operator in status["operators"]:
        labels = (operator["name"], operator["source"])
        lag.labels(*labels).set(operator["lag"]["changes"])
        lag_s.labels(*labels).set(operator["lag"]["ms"] / 1000)
        dead.labels(*labels).set(operator["dead_letters"])
    documents = gauge("documents", "Present documents", "stage")
    for stage, count in status["documents"]["by_stage"].items():
        documents.labels(stage).set(count)
    gauge("profiles", "Present profiles").set(status["profiles"])
    gauge("store_bytes", "Size of the store").set(status["store"]["bytes"])
    return registry
