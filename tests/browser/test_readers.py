"""The page behind a gateway, for somebody who is no operator: what they may read, and nothing that is refused them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.screen import Screen
from tests.whole import Whole, whole

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "the gateway's own secret"
SETTINGS = """
identity = "headers"
identity_secret = "${env:HEADRACE_TEST_SECRET}"

[[sources]]
name = "docs"
url = "file://./docs"
[[sources.access_rules]]
match = "hr/**"
groups = ["hr"]
"""
TURNIPS = "# Turnips\n\nTurnips are served on Mondays, and in winter on Tuesdays too.\n"
PAY = "# Pay\n\nWhoever peels turnips is paid by the basket.\n"


@pytest.fixture
def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Whole]:
    monkeypatch.setenv("HEADRACE_TEST_SECRET", SECRET)
    docs = tmp_path / "docs"
    (docs / "hr").mkdir(parents=True)
    (docs / "menu.md").write_text(TURNIPS, encoding="utf-8")
    (docs / "hr" / "pay.md").write_text(PAY, encoding="utf-8")
    with whole(tmp_path, SETTINGS) as running:
        running.say({"X-Headrace-Secret": SECRET, "X-Headrace-Groups": "headrace-operators"})
        running.settle()
        yield running


async def test_a_reader_sees_what_they_may_and_no_way_to_what_they_may_not(guarded: Whole, browser: Browser) -> None:
    # given somebody of no group, whom the gateway names with every request
    context = await browser.new_context(
        extra_http_headers={"X-Headrace-Secret": SECRET, "X-Headrace-User": "ada@example.com"}
    )
    screen = Screen(await context.new_page(), f"http://127.0.0.1:{guarded.port}")
    # when they open the page
    await screen.open("status")
    # then there is no view of what is refused them, and the header does not call it a failure
    await expect(screen.page.locator(".header")).to_contain_text("what you may read")
    await expect(screen.page.get_by_role("tab", name="Documents")).to_be_visible()
    await expect(screen.page.get_by_role("tab", name="Status")).to_have_count(0)
    await expect(screen.page.get_by_role("alert")).to_have_count(0)
    # and the documents are theirs, to be read and not changed
    await screen.go("Documents")
    table = screen.page.get_by_role("table", name="Documents")
    await expect(table.get_by_role("button", name="docs/menu.md")).to_be_visible()
    await expect(table).not_to_contain_text("pay.md")
    await expect(table.get_by_role("columnheader", name="Actions")).to_have_count(0)
    await expect(screen.page.get_by_role("alert")).to_have_count(0)
    assert screen.errors == []
    await context.close()


async def test_an_operator_behind_the_gateway_has_all_of_it(guarded: Whole, browser: Browser) -> None:
    context = await browser.new_context(
        extra_http_headers={"X-Headrace-Secret": SECRET, "X-Headrace-Groups": "headrace-operators"}
    )
    screen = Screen(await context.new_page(), f"http://127.0.0.1:{guarded.port}")
    await screen.open("documents")
    table = screen.page.get_by_role("table", name="Documents")
    await expect(table.get_by_role("button", name="docs/hr/pay.md")).to_be_visible()
    await expect(table.get_by_role("columnheader", name="Actions")).to_have_count(1)
    await screen.go("Status")
    await expect(screen.page.get_by_role("region", name="Sources")).to_contain_text("docs")
    await context.close()
