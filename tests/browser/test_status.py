"""Status: tables are read again from here, and every state of a source can be read from it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from playwright.async_api import Locator, Request, Route, expect

from tests.browser.conftest import Open
from tests.browser.screen import Screen

pytestmark = pytest.mark.asyncio(loop_scope="session")

TABLE = "public.airports"
TOPIC = f"airline.{TABLE}"
AT = "2026-01-02T03:04:05.678901Z"
WORDS = "ask the source: expected one that answers, got none at " + "db.internal.example.com/" * 6


class Told:
    """The status as the server tells it, with something else in its place for states that cannot be waited for."""

    def __init__(self, **first_source: object) -> None:
        self.first_source = dict(first_source)
        self.more: list[dict[str, object]] = []
        self.instead: dict[str, object] = {}

    async def status(self, route: Route) -> None:
        response = await route.fetch()
        told: dict[str, Any] = await response.json()
        first: dict[str, Any] = told["sources"][0]
        told["sources"] = [{**first, **self.first_source}, *({**first, **other} for other in self.more)]
        await route.fulfill(response=response, json={**told, **self.instead})


async def told(screen: Screen, **first_source: object) -> Told:
    made = Told(**first_source)
    await screen.page.route("**/v1/status", made.status)
    await screen.page.reload()
    return made


def job(state: str, **more: object) -> dict[str, object]:
    plain: dict[str, object] = {
        "id": "airline-99", "source": "airline", "table": TABLE, "reason": "asked", "state": state, "done": 1000,
        "total": 4000, "deleted": 0, "chunks": 2, "rate": 250.0, "eta_s": 12.0, "started_at": AT, "ended_at": None,
        "problem": None, "note": None,
    }  # fmt: skip
    return {**plain, **more}


def opener(screen: Screen) -> Locator:
    return screen.page.get_by_role("button", name=f"Read again: {TOPIC}")


def snapshots(screen: Screen) -> Locator:
    return screen.page.get_by_role("list", name="Snapshots").get_by_role("listitem")


async def ended(screen: Screen) -> set[str]:
    """The ids of snapshots that have ended, as the server knows them."""
    answer = await screen.page.request.get(f"{screen.address}/v1/snapshots")
    return {s["id"] for s in (await answer.json())["snapshots"] if s["ended_at"] is not None}


async def one_more_ended(screen: Screen, before: set[str]) -> None:
    """The list has ended ones of earlier tests too."""
    async with asyncio.timeout(60):
        while len(await ended(screen) - before) < 1:  # noqa: ASYNC110 - the server is asked
            await asyncio.sleep(0.1)
    assert len(await ended(screen) - before) == 1


async def test_a_table_is_read_again_after_it_was_asked(open_page: Open) -> None:
    # given the status, and a table that somebody thinks of reading again
    screen = await open_page(view="status")
    before = await ended(screen)
    await opener(screen).click()
    asked = screen.page.get_by_role("group", name=f"Read {TOPIC} again")
    await expect(asked).to_contain_text("Reads every row")
    # when it is left, nothing happens
    await asked.get_by_role("button", name="Leave it").click()
    await expect(asked).to_have_count(0)
    assert await ended(screen) == before
    # when it is not left
    await opener(screen).click()
    await asked.get_by_role("button", name="Read it again").click()
    # then it appears, and how it ended stays to be read
    await expect(asked).to_have_count(0)
    await expect(snapshots(screen).first).to_contain_text(TABLE)
    await expect(snapshots(screen).first).to_contain_text("was read", timeout=60_000)
    await one_more_ended(screen, before)


async def test_by_keyboard_alone(open_page: Open) -> None:
    # given the button, reached by Tab
    screen = await open_page(view="status")
    keys, before = screen.page.keyboard, await ended(screen)
    await expect(opener(screen)).to_be_visible()
    await screen.tab_to(opener(screen))
    # when it is pressed, the question has the focus; Escape leaves it and gives the focus back
    await keys.press("Enter")
    confirm = screen.page.get_by_role("button", name="Read it again")
    await expect(confirm).to_be_focused()
    await keys.press("Escape")
    await expect(opener(screen)).to_be_focused()
    # and Enter twice reads it
    await keys.press("Enter")
    await expect(confirm).to_be_focused()
    await keys.press("Enter")
    await expect(opener(screen)).to_be_focused()
    await expect(snapshots(screen).first).to_contain_text("was read", timeout=60_000)
    await one_more_ended(screen, before)


async def test_progress_is_seen_and_a_snapshot_cancelled_by_keyboard(open_page: Open) -> None:
    # given a snapshot that runs
    screen = await open_page(view="status")
    now = await told(screen, snapshots=[job("copying")])
    cancelled: list[str] = []

    async def cancel(route: Route, request: Request) -> None:
        cancelled.append(f"{request.method} {request.url.removeprefix(screen.address)}")
        now.first_source["snapshots"] = [job("cancelled", ended_at=AT)]
        await route.fulfill(json=job("cancelled", ended_at=AT))

    await screen.page.route("**/v1/snapshots/*", cancel)
    bar = screen.page.get_by_role("progressbar", name=f"Snapshot of {TABLE}")
    await expect(bar).to_have_attribute("aria-valuenow", "25")
    await expect(snapshots(screen)).to_contain_text("1,000 of 4,000 rows, 250/s, about 12.0 s to go")
    # when it goes on
    now.first_source["snapshots"] = [job("copying", done=3000, eta_s=4.0)]
    # then so does the bar
    await expect(bar).to_have_attribute("aria-valuenow", "75")
    await expect(screen.page.get_by_role("listitem").filter(has=opener(screen))).to_contain_text("is being read, 75 %")
    await expect(snapshots(screen)).to_contain_text("3,000 of 4,000 rows, 250/s, about 4.0 s to go")
    # when it is cancelled
    await screen.tab_to(screen.page.get_by_role("button", name=f"Cancel the snapshot of {TABLE}"))
    await screen.page.keyboard.press("Enter")
    # then it says so, and has no bar
    await expect(snapshots(screen)).to_contain_text("was cancelled")
    await expect(bar).to_have_count(0)
    assert cancelled == ["DELETE /v1/snapshots/airline-99"]


async def test_what_the_server_refuses_is_said(open_page: Open) -> None:
    screen = await open_page(view="status")
    problem = {"title": "Not now", "status": 503, "step": "read tables again", "expected": "a Headrace that runs",
               "got": "one that stops", "remedy": "Ask again."}  # fmt: skip

    async def refuse(route: Route) -> None:
        await route.fulfill(status=503, json=problem, content_type="application/problem+json")

    await screen.page.route("**/v1/snapshots", refuse)

    await opener(screen).click()
    await screen.page.get_by_role("button", name="Read it again").click()

    await expect(screen.page.get_by_role("alert")).to_contain_text("Ask again.")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1360), ("dark", 1360), ("light", 360), ("dark", 360)])
async def test_every_state_can_be_read_by_everybody(open_page: Open, scheme: str, width: int) -> None:
    # given sources in every state
    screen = await open_page(scheme=scheme, width=width, view="status")
    kept = {"bytes": 7_300_000_000, "max_bytes": 10_000_000_000, "status": "extended", "on_lag": "warn",
            "advice": "See which operator lags."}  # fmt: skip
    waiting = job("waiting", id="airline-97", reason="added")
    failed = job("failed", id="airline-98", ended_at=AT, problem=WORDS)
    now = await told(screen, retained=kept, snapshots=[job("copying"), waiting, failed])
    plain: dict[str, object] = {"snapshots": [], "retained": None}
    now.more = [
        {**plain, "name": "orders", "state": "down", "freshness_ms": None, "reason": WORDS, "reads_again": False},
        {
            **plain,
            "name": "copied",
            "state": "snapshot",
            "snapshot": {"done": 5, "total": 9, "rate": 3.0, "eta_s": 2.0},
        },
        {**plain, "name": "late", "state": "starting", "freshness_ms": None, "reason": None},
        {**plain, "name": "crm", "pushed": {"accepted": 7, "duplicates": 0, "ignored": 0, "rejected": 2, "waiting": 3}},
    ]

    def card(name: str) -> Locator:
        return screen.page.get_by_role("article", name=name, exact=True)

    # then each says how it is
    await expect(card("crm")).to_contain_text("7, 2 rejected")
    await expect(card("crm")).to_contain_text("3 changes")
    await expect(card("airline")).to_contain_text("7.3 GB of 10.0 GB")
    await expect(card("airline")).to_contain_text("See which operator lags.")
    await expect(card("airline")).to_contain_text("could not be read")
    await expect(card("airline")).to_contain_text("waits for its turn")
    await expect(card("airline").get_by_role("button", name="Cancel")).to_have_count(1)  # a first copy has none
    await expect(card("orders")).to_contain_text(WORDS)
    await expect(card("orders").get_by_text("down", exact=True)).to_be_visible()
    await expect(card("copied")).to_contain_text("5 of 9 rows, 3.0/s, about 2.0 s to go")
    await expect(card("late")).to_contain_text("catching up")
    # to everybody, and nothing is cut off
    await opener(screen).click()
    assert await screen.sideways() <= 0
    assert await screen.serious() == []


async def test_how_it_goes_with_the_models_that_make_vectors(open_page: Open) -> None:
    # given the model of this process
    screen = await open_page(view="status")
    models = screen.page.get_by_role("region", name="Models")
    await expect(models.get_by_role("article")).to_contain_text("in this process")
    await expect(models.get_by_role("article")).to_contain_text("384")
    # when one behind an address is left alone
    service = {
        "reason": "ask the embedder: expected 200, got 503", "again_at": "2126-01-02T03:04:05.000000Z", "requests": 1,
        "failures": 2, "texts": 4200, "tokens": 812_345, "estimated": True, "cost": 0.0162,
    }  # fmt: skip
    now = await told(screen)
    now.instead = {"embedders": [{"model": "far/model", "dimensions": None, "state": "open", "service": service}]}
    # then it says why, when it is asked again, and what was spent
    card = models.get_by_role("article", name="far/model")
    await expect(card).to_contain_text("left alone")
    await expect(card).to_contain_text("got 503")
    await expect(card).to_contain_text("Asked again in")
    await expect(card).to_contain_text("1 time, 2 failed")
    await expect(card).to_contain_text("about 812,345")
    await expect(card).to_contain_text("0.02")
    # and so does a reranker that takes too long
    reranker = {
        "model": "far/reranker", "state": "open", "again_at": "2126-01-02T03:04:05.000000Z", "service": None,
        "searches": {"done": 3, "late": 4, "failed": 0, "skipped": 1}, "passages": 90, "seconds": 1.5,
    }  # fmt: skip
    now.instead["reranker"] = reranker
    card = models.get_by_role("article", name="far/reranker")
    await expect(card).to_contain_text("3, 5 without it")
    await expect(card).to_contain_text("500 ms")
    await expect(card).to_contain_text("searches keep the order in which they were found")


async def test_a_vector_index_that_is_built_shows_how_far_it_is(open_page: Open) -> None:
    # given a large load whose index is being built
    screen = await open_page(view="status")
    building = {"done": 120_000, "total": 200_000, "rate": 2000.0, "eta_s": 40.0}
    now = await told(screen)
    # when the status tells it
    now.instead = {"store": {"version": "18.1", "bytes": 1, "index": {"waiting": 200_000, "building": building}}}
    # then it stands among the figures
    await expect(screen.page.locator(".figures")).to_contain_text("120,000 of 200,000")
    await expect(screen.page.locator(".figures")).to_contain_text("about 40.0 s to go")
