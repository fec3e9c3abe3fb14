"""Metrics: the status and what was pushed, in Prometheus' form; each is in the docs."""

from collections import Counter
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest

from headrace.ops.metrics import PushRequests, collect

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"
COPIES = {"done": 10, "total": 40, "rate": 5.0, "eta_s": 6.0}


def job(table: str, state: str, **more: object) -> dict[str, object]:
    ended = None if state in ("waiting", "copying", "comparing") else "2026-01-02T03:04:05Z"
    return {"table": table, "state": state, "ended_at": ended, **COPIES, **more}


def source(name: str, **more: object) -> dict[str, object]:
    plain: dict[str, object] = {
        "name": name, "state": "streaming", "freshness_ms": 250.0, "rate": 4.0, "errors": 1, "retained": None,
        "snapshot": None, "snapshots": [], "pushed": None,
    }  # fmt: skip
    return {**plain, **more}


def status() -> dict[str, Any]:
    jobs = [job("public.users", "copying", total=None, eta_s=None), job("public.a", "done"), job("public.b", "done")]
    pushed = {"accepted": 9, "duplicates": 1, "ignored": 2, "rejected": 3, "waiting": 4}
    return {
        "sources": [
            source("air", retained={"bytes": 700, "max_bytes": 900}, snapshots=jobs),
            source("docs", state="down", freshness_ms=None, snapshot=COPIES),
            source("crm", pushed=pushed),
        ],
        "topics": [{"name": "air.public.users", "changes": 7, "bytes": 900}],
        "operators": [{"name": "profiles", "source": "air", "lag": {"changes": 3, "ms": 1500.0}, "dead_letters": 2}],
        "documents": {"by_stage": {"ready": 5, "failed": 1}},
        "renewal": {"state": "running", "done": 20, "total": 50, "left": {}},
        "telling": {
            "left": 7,
            "steps": [{"name": "classify", "asked": 9, "recalled": 1, "errors": 2, "bad": 3, "given_up": 4}],
        },
        "embedders": [
            {"model": "onnx/1", "state": "ok", "service": None},
            {
                "model": "openai",
                "state": "open",
                "service": {"requests": 7, "failures": 2, "texts": 30, "tokens": 900, "cost": 0.5},
            },
        ],
        "reranker": {
            "model": "http://r?model=m",
            "state": "open",
            "searches": {"done": 8, "late": 2, "failed": 1, "skipped": 3},
            "passages": 240,
            "seconds": 1.5,
            "service": {"requests": 9, "failures": 1, "tokens": 5000, "cost": 0.25},
        },
        "profiles": 4,
        "store": {"bytes": 1000, "index": {"waiting": 60, "building": {"done": 20, "total": 90}}},
    }


def pushes() -> PushRequests:
    return PushRequests(Counter({("crm", 202): 5, ("crm", 429): 2, ("", 404): 1}), Counter({"crm": 12_000}))


def lines() -> list[str]:
    told = generate_latest(collect(status(), pushes())).decode().splitlines()
    return [line.removeprefix("headrace_") for line in told if not line.startswith("#")]


def test_the_status_is_told_as_metrics() -> None:
    assert sorted(lines()) == sorted(
        [
            'source_freshness_seconds{source="air"} 0.25',
            'source_freshness_seconds{source="crm"} 0.25',
            'source_up{source="air"} 1.0',
            'source_up{source="docs"} 0.0',
            'source_up{source="crm"} 1.0',
            *(f'source_changes_per_second{{source="{name}"}} 4.0' for name in ("air", "docs", "crm")),
            *(f'source_errors_total{{source="{name}"}} 1.0' for name in ("air", "docs", "crm")),
            'source_retained_bytes{source="air"} 700.0',
            'source_retained_limit_bytes{source="air"} 900.0',
            'snapshot_rows{source="air",table="public.users"} 10.0',
            'snapshot_rows{source="docs",table=""} 10.0',
            'snapshot_rows_expected{source="docs",table=""} 40.0',
            'snapshot_rows_per_second{source="air",table="public.users"} 5.0',
            'snapshot_rows_per_second{source="docs",table=""} 5.0',
            'snapshot_remaining_seconds{source="docs",table=""} 6.0',
            'snapshots{source="air",state="copying"} 1.0',
            'snapshots{source="air",state="done"} 2.0',
            'push_requests_total{source="",status="404"} 1.0',
            'push_requests_total{source="crm",status="202"} 5.0',
            'push_requests_total{source="crm",status="429"} 2.0',
            'push_bytes_total{source="crm"} 12000.0',
            'push_records_total{outcome="accepted",source="crm"} 9.0',
            'push_records_total{outcome="duplicates",source="crm"} 1.0',
            'push_records_total{outcome="ignored",source="crm"} 2.0',
            'push_records_total{outcome="rejected",source="crm"} 3.0',
            'push_waiting{source="crm"} 4.0',
            'topic_bytes{topic="air.public.users"} 900.0',
            'topic_changes{topic="air.public.users"} 7.0',
            'operator_lag_changes{operator="profiles",source="air"} 3.0',
            'operator_lag_seconds{operator="profiles",source="air"} 1.5',
            'dead_letters{operator="profiles",source="air"} 2.0',
            'documents{stage="failed"} 1.0',
            'documents{stage="ready"} 5.0',
            "documents_of_earlier_settings 30.0",
            "documents_untold 7.0",
            'told_requests_total{outcome="asked",step="classify"} 9.0',
            'told_requests_total{outcome="recalled",step="classify"} 1.0',
            'told_requests_total{outcome="errors",step="classify"} 2.0',
            'told_requests_total{outcome="bad",step="classify"} 3.0',
            'told_requests_total{outcome="given_up",step="classify"} 4.0',
            'embedding_up{model="openai"} 0.0',
            'embedding_requests_total{model="openai"} 7.0',
            'embedding_failures_total{model="openai"} 2.0',
            'embedding_texts_total{model="openai"} 30.0',
            'embedding_tokens_total{model="openai"} 900.0',
            'embedding_cost_total{model="openai"} 0.5',
            'rerank_up{model="http://r?model=m"} 0.0',
            'rerank_searches_total{model="http://r?model=m",outcome="done"} 8.0',
            'rerank_searches_total{model="http://r?model=m",outcome="late"} 2.0',
            'rerank_searches_total{model="http://r?model=m",outcome="failed"} 1.0',
            'rerank_searches_total{model="http://r?model=m",outcome="skipped"} 3.0',
            'rerank_passages_total{model="http://r?model=m"} 240.0',
            'rerank_seconds_total{model="http://r?model=m"} 1.5',
            'rerank_requests_total{model="http://r?model=m"} 9.0',
            'rerank_failures_total{model="http://r?model=m"} 1.0',
            'rerank_tokens_total{model="http://r?model=m"} 5000.0',
            'rerank_cost_total{model="http://r?model=m"} 0.25',
            "profiles 4.0",
            "store_bytes 1000.0",
            "index_waiting_chunks 60.0",
            "index_build_chunks 20.0",
            "index_build_chunks_expected 90.0",
        ]
    )


def test_two_snapshots_of_one_table_are_told_once() -> None:
    """Prometheus refuses a whole scrape in which a series stands twice."""
    told = status()
    told["sources"] = [source("air", snapshots=[job("public.a", "copying"), job("public.a", "waiting", done=0)])]

    text = generate_latest(collect(told, pushes())).decode()

    assert [line for line in text.splitlines() if line.startswith("headrace_snapshot_rows{")] == [
        'headrace_snapshot_rows{source="air",table="public.a"} 10.0'
    ]


def test_every_metric_is_in_the_docs() -> None:
    documented = DOCS.read_text("utf-8")

    for metric in collect(status(), pushes()).collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        assert f"`{name}`" in documented, name
