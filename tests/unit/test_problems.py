"""Every error leaves as a problem that says step, expected, got and remedy; the status as metrics."""

from __future__ import annotations

import pickle
from collections.abc import AsyncGenerator

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI
from prometheus_client import generate_latest
from pydantic import BaseModel

from headrace import errors
from headrace.errors import HeadraceError, Lagging
from headrace.ops.metrics import collect
from headrace.server.problems import install

FIELDS = {"type", "title", "status", "detail", "step", "expected", "got", "remedy"}
KINDS = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, HeadraceError)]


class Body(BaseModel):
    k: int


@pytest_asyncio.fixture
async def http() -> AsyncGenerator[httpx2.AsyncClient]:
    app = FastAPI()
    install(app)

    async def lag() -> None:
        raise Lagging(step="wait", expected="position 5", got="position 3", remedy="Ask again.")

    async def fail() -> None:
        raise KeyError("a secret")

    async def take(body: Body) -> int:
        return body.k

    app.add_api_route("/lag", lag)
    app.add_api_route("/fail", fail)
    app.add_api_route("/take", take, methods=["POST"])
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


def fields_of(response: httpx2.Response, status: int) -> dict[str, object]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, object] = response.json()
    assert set(found) == FIELDS
    assert found["status"] == status
    assert all(str(found[name]).strip() for name in FIELDS)
    return found


async def test_our_errors_keep_what_they_say(http: httpx2.AsyncClient) -> None:
    found = fields_of(await http.get("/lag"), 409)

    assert (found["step"], found["expected"], found["got"], found["remedy"]) == (
        "wait", "position 5", "position 3", "Ask again."
    )  # fmt: skip
    assert found["title"] == Lagging.title


async def test_what_was_not_foreseen_is_told_without_its_inside(http: httpx2.AsyncClient) -> None:
    found = fields_of(await http.get("/fail"), 500)

    assert found["got"] == "KeyError"
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("body", "where"), [(b"{}", "body.k"), (b'{"k": "many"}', "body.k"), (b"{nonsense", "body"), (b"", "body")]
)
async def test_a_body_that_does_not_fit_says_where(http: httpx2.AsyncClient, body: bytes, where: str) -> None:
    headers = {"content-type": "application/json"}

    found = fields_of(await http.post("/take", content=body, headers=headers), 422)

    assert str(found["detail"]).startswith(where)
    assert found["step"] == "read POST /take"


async def test_a_route_that_is_not_there_is_a_problem_too(http: httpx2.AsyncClient) -> None:
    fields_of(await http.get("/nowhere"), 404)
    fields_of(await http.delete("/take"), 405)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_crosses_processes_whole(kind: type[HeadraceError]) -> None:
    error = kind(step="read", expected="a", got="b", remedy="Do c.")

    again = pickle.loads(pickle.dumps(error))

    assert type(again) is kind
    assert (again.step, again.expected, again.got, again.remedy) == ("read", "a", "b", "Do c.")
    assert str(again) == "read: expected a, got b. Do c."
    assert 400 <= kind.status < 600


def test_the_status_is_told_as_metrics() -> None:
    status = {
        "sources": [
            {"name": "air", "state": "streaming", "freshness_ms": 250.0, "rate": 4.0},
            {"name": "docs", "state": "down", "freshness_ms": None, "rate": 0.0},
        ],
        "topics": [{"name": "air.public.users", "changes": 7, "bytes": 900}],
        "operators": [{"name": "profiles", "source": "air", "lag": {"changes": 3, "ms": 1500.0}, "dead_letters": 2}],
        "documents": {"by_stage": {"ready": 5, "failed": 1}},
        "profiles": 4,
        "store": {"bytes": 1000},
    }

    lines = [line for line in generate_latest(collect(status)).decode().splitlines() if not line.startswith("#")]

    assert sorted(lines) == [
        'headrace_dead_letters{operator="profiles",source="air"} 2.0',
        'headrace_documents{stage="failed"} 1.0',
        'headrace_documents{stage="ready"} 5.0',
        'headrace_operator_lag_changes{operator="profiles",source="air"} 3.0',
        'headrace_operator_lag_seconds{operator="profiles",source="air"} 1.5',
        "headrace_profiles 4.0",
        'headrace_source_changes_per_second{source="air"} 4.0',
        'headrace_source_changes_per_second{source="docs"} 0.0',
        'headrace_source_freshness_seconds{source="air"} 0.25',
        'headrace_source_up{source="air"} 1.0',
        'headrace_source_up{source="docs"} 0.0',
        "headrace_store_bytes 1000.0",
        'headrace_topic_bytes{topic="air.public.users"} 900.0',
        'headrace_topic_changes{topic="air.public.users"} 7.0',
    ]
