"""An app that is asked in this process answers as one behind a socket does: part by part."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import httpx2
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from rich.console import Console
from starlette.types import ASGIApp

from headrace.client import Client
from headrace.errors import HeadraceError
from headrace.inprocess import MOST_PARTS, InProcess
from headrace.server.problems import install
from headrace.server.shapes import json_line
from headrace.showing_verify import verified

SOON_S = 60


class Terminal(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    def write(self, s: str, /) -> int:
        self.written.set()
        return super().write(s)


async def many_turns() -> None:
    for _ in range(1000):
        await asyncio.sleep(0)


def asking(app: ASGIApp) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=InProcess(app), base_url="http://127.0.0.1", timeout=SOON_S)


@pytest.fixture
def app() -> FastAPI:
    made = FastAPI()
    install(made)
    return made


async def test_each_part_comes_before_the_next_is_made(app: FastAPI) -> None:
    read: asyncio.Queue[str] = asyncio.Queue()

    @app.get("/parts")
    async def parts() -> StreamingResponse:  # pyright: ignore[reportUnusedFunction]
        async def made() -> AsyncIterator[str]:
            for part in ("one", "two"):
                yield part
                assert await asyncio.wait_for(read.get(), SOON_S) == part
            yield "end"

        return StreamingResponse(made())

    async with asking(app) as http, http.stream("GET", "/parts") as answer:
        found: list[str] = []
        async for part in answer.aiter_text():
            found.append(part)
            read.put_nowait(part)

    assert found == ["one", "two", "end"]


async def test_a_verification_shows_its_progress_as_it_goes(app: FastAPI) -> None:
    shown = Terminal()

    @app.post("/v1/verify")
    async def verify() -> StreamingResponse:  # pyright: ignore[reportUnusedFunction]
        async def lines() -> AsyncIterator[bytes]:
            for done in (5, 10):
                yield json_line(
                    {"progress": {"step": "documents", "done": done, "total": 20, "rate": 2.5, "eta_s": 20 - done}}
                )
                async with asyncio.timeout(SOON_S):  # nothing more is verified until this is on the terminal
                    while f"documents: {done} of 20, 2/s, about {20 - done} s to go" not in shown.getvalue():
                        shown.written.clear()
                        await shown.written.wait()
            yield json_line({"report": {"equal": True}})

        return StreamingResponse(lines())

    async with asking(app) as http:
        assert await verified(Client(http), {}, Console(file=shown, width=200)) == {"equal": True}


async def test_an_app_does_not_run_ahead_of_who_reads_and_ends_with_him(app: FastAPI) -> None:
    made = 0

    @app.get("/endless")
    async def endless() -> StreamingResponse:  # pyright: ignore[reportUnusedFunction]
        async def numbers() -> AsyncGenerator[str]:
            nonlocal made
            while True:
                made += 1
                yield f"{made}\n"

        return StreamingResponse(numbers())

    async with asking(app) as http:
        async with http.stream("GET", "/endless") as answer, aclosing(answer.aiter_raw()) as parts:
            first = await anext(parts)
            await many_turns()
            assert made <= MOST_PARTS + 2
        assert first == b"1\n"
        before = made
        await many_turns()
        assert made == before


async def test_bodies_go_in_and_what_breaks_is_told(app: FastAPI) -> None:
    @app.post("/echo")
    async def echo(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return Response(await request.body())

    @app.get("/problem")
    async def problem() -> None:  # pyright: ignore[reportUnusedFunction]
        raise HeadraceError(step="ask", expected="an answer", got="none", remedy="Ask again.")

    @app.get("/broken")
    async def broken() -> None:  # pyright: ignore[reportUnusedFunction]
        raise KeyError("a secret")

    @app.get("/half")
    async def half() -> StreamingResponse:  # pyright: ignore[reportUnusedFunction]
        async def part() -> AsyncIterator[str]:
            yield "half"
            raise ValueError("the other half")

        return StreamingResponse(part())

    async def body() -> AsyncIterator[bytes]:
        for n in range(100):
            yield f"{n},".encode()

    async with asking(app) as http:
        assert (await http.post("/echo", content=body())).text == "".join(f"{n}," for n in range(100))
        assert (await http.get("/problem")).json()["got"] == "none"
        failed = await http.get("/broken")
        assert (failed.status_code, failed.json()["got"]) == (500, "KeyError")
        assert (await http.get("/nowhere")).status_code == 404
        with pytest.raises((ValueError, ExceptionGroup)):
            await http.get("/half")


async def test_an_app_that_does_not_answer_is_an_error() -> None:
    async def silent(*_: object) -> None:
        """Says nothing."""

    async def broken(*_: object) -> None:
        raise LookupError("nothing there")

    async with asking(silent) as http:
        with pytest.raises(httpx2.RemoteProtocolError):
            await http.get("/")
    async with asking(broken) as http:
        with pytest.raises(LookupError):
            await http.get("/")
