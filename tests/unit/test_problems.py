"""Every error leaves as a problem that says step, expected, got and remedy; the status as metrics."""

from __future__ import annotations

import pickle
from collections.abc import AsyncGenerator

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pydantic import BaseModel

from headrace import errors
from headrace.errors import HeadraceError, Lagging
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
