"""Documents: put in by mouse and by keyboard, seen at their stage, replaced, tried again and deleted."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import FilePayload, Locator, Route, expect

from tests.browser.conftest import Open
from tests.browser.screen import Screen

pytestmark = pytest.mark.asyncio(loop_scope="session")

COMES_MS = 60_000
"""How long a document may take into the index of a demo that never rests."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of one test's documents; they are deleted after it."""

    folder: str

    def __call__(self, name: str) -> str:
        return f"{self.folder}-{name}"


@pytest_asyncio.fixture(loop_scope="session")
async def names(open_page: Open) -> AsyncIterator[Names]:
    made = Names(secrets.token_hex(4))
    yield made
    screen = await open_page()
    found = await registry(screen, made.folder)
    for document in found:
        await screen.page.request.delete(f"{screen.address}/v1/documents/{document['id']}")


async def registry(screen: Screen, text: str) -> list[Any]:
    answer = await screen.page.request.get(f"{screen.address}/v1/documents", params={"q": text, "limit": 1000})
    return (await answer.json())["documents"]


def file(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def uploads(screen: Screen) -> Locator:
    return screen.page.get_by_role("list", name="Uploads").get_by_role("listitem")


def row(screen: Screen, id: str) -> Locator:
    named = screen.page.get_by_role("button", name=id, exact=True)
    return screen.page.get_by_role("table", name="Documents").get_by_role("row").filter(has=named)


async def choose(screen: Screen, *files: FilePayload) -> None:
    await screen.page.get_by_label("Files to upload").set_input_files(list(files))


async def only(screen: Screen, text: str) -> None:
    await screen.page.get_by_label("Id or title contains").fill(text)


async def test_chosen_files_are_seen_on_their_way_and_found_in_the_next_search(open_page: Open, names: Names) -> None:
    # given the view, and a word that nobody has used yet
    screen, word = await open_page(view="documents"), secrets.token_hex(6)
    good, bad = names("good.md"), names("bad.pdf")
    # when two files are chosen, of which one cannot be read
    await choose(screen, file(good, f"# Rules\n\nThe word is {word}.".encode()), file(bad, b"%PDF-1.7 cut off"))
    # then each says how it went
    await expect(uploads(screen).filter(has_text=good)).to_contain_text("ready", timeout=COMES_MS)
    await expect(uploads(screen).filter(has_text=bad)).to_contain_text("could not be read", timeout=COMES_MS)
    # and the registry too, with the reason and what can be done
    await only(screen, names.folder)
    await expect(row(screen, f"uploads/{good}")).to_contain_text("ready")
    failed = row(screen, f"uploads/{bad}")
    await expect(failed).to_contain_text("Expected a PDF")
    await expect(failed.get_by_role("button", name=f"Retry uploads/{bad}")).to_be_visible()
    # and the good one is found, and can be opened
    await screen.page.get_by_label("Search as an answer does").fill(word)
    await screen.page.get_by_role("button", name="Search", exact=True).click()
    await expect(screen.page.get_by_role("region", name="Search").locator(".source").first).to_contain_text(word)
    await row(screen, f"uploads/{good}").get_by_role("button", name=f"uploads/{good}", exact=True).click()
    await expect(screen.page.get_by_role("dialog")).to_contain_text(word)
    # and what is done can be cleared away
    await screen.page.keyboard.press("Escape")
    await screen.page.get_by_role("button", name="Clear those that are done").click()
    await expect(uploads(screen)).to_have_count(0)


async def test_dropped_files_are_taken(open_page: Open, names: Names) -> None:
    screen, name = await open_page(view="documents"), names("dropped.txt")

    await screen.page.locator(".drop").evaluate(
        """(zone, name) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File(["It was dropped."], name));
          for (const type of ["dragover", "drop"])
            zone.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        name,
    )

    await expect(uploads(screen).filter(has_text=name)).to_contain_text("ready", timeout=COMES_MS)


async def test_a_name_that_is_taken_is_replaced_only_when_asked(open_page: Open, names: Names) -> None:
    # given a document
    screen, name = await open_page(view="documents"), names("same.md")
    await choose(screen, file(name, b"# First"))
    await expect(uploads(screen).filter(has_text=name)).to_contain_text("ready", timeout=COMES_MS)
    # when another of that name is chosen
    await choose(screen, file(name, b"# Second"))
    # then it is not taken, and says so
    refused = uploads(screen).filter(has=screen.page.get_by_role("alert"))
    await expect(refused).to_contain_text("A document of this name is there already")
    assert [d["title"] for d in await registry(screen, name)] == ["First"]
    # until somebody wants it
    await refused.get_by_role("button", name=f"Replace it: {name}").click()
    await expect(refused).to_have_count(0)
    await expect(uploads(screen).filter(has_text="ready")).to_have_count(2, timeout=COMES_MS)
    assert [d["title"] for d in await registry(screen, name)] == ["Second"]
    # and the same once more is there already
    await choose(screen, file(name, b"# Second"))
    await expect(uploads(screen).last).to_contain_text("was there already")


async def test_a_document_is_deleted_by_keyboard_after_it_was_asked(open_page: Open, names: Names) -> None:
    # given a document of somebody who has no mouse
    screen, name = await open_page(view="documents"), names("gone.md")
    keys = screen.page.keyboard
    chooser = screen.page.get_by_role("button", name="choose files")
    async with screen.page.expect_file_chooser() as opened:  # begins here: the browser takes a moment to tell of one
        await screen.tab_to(chooser)
        await keys.press("Enter")
    await (await opened.value).set_files([file(name, b"# Gone")])
    await expect(uploads(screen).filter(has_text=name)).to_contain_text("ready", timeout=COMES_MS)
    await only(screen, name)
    opener = screen.page.get_by_role("button", name=f"Delete uploads/{name}")
    await expect(opener).to_be_visible()
    await screen.tab_to(opener)
    # when it is to be deleted, it is asked first
    await keys.press("Enter")
    confirm = screen.page.get_by_role("button", name="Delete for good")
    await expect(confirm).to_be_focused()
    await keys.press("Escape")
    await expect(opener).to_be_focused()
    assert len(await registry(screen, name)) == 1
    # and then it is gone
    await keys.press("Enter")
    await expect(confirm).to_be_focused()
    await keys.press("Enter")
    await expect(row(screen, f"uploads/{name}")).to_have_count(0)
    await expect(screen.page.get_by_role("region", name="All documents")).to_contain_text("No document")
    assert await registry(screen, name) == []


async def test_stages_and_sources_are_filters_and_more_is_shown_when_asked(open_page: Open, names: Names) -> None:
    screen, name = await open_page(view="documents"), names("bad.pdf")
    await choose(screen, file(name, b"%PDF-"))
    await expect(uploads(screen).filter(has_text=name)).to_contain_text("could not be read", timeout=COMES_MS)
    rows = screen.page.get_by_role("table", name="Documents").get_by_role("row")

    await expect(rows).to_have_count(51)
    await screen.page.get_by_role("button", name="Show more").click()
    await expect(rows).to_have_count(101)
    await screen.page.get_by_label("Stage").select_option("failed")
    await expect(row(screen, f"uploads/{name}")).to_be_visible()
    await expect(screen.page.get_by_role("cell", name="ready", exact=True)).to_have_count(0)
    await screen.page.get_by_label("Source").select_option("policies")
    await expect(row(screen, f"uploads/{name}")).to_have_count(0)


async def test_without_a_source_of_uploads_it_says_how_to_have_one(open_page: Open) -> None:
    screen = await open_page()

    async def without(route: Route) -> None:
        response = await route.fetch()
        told: dict[str, Any] = await response.json()
        told["sources"] = [{**s, "uploads": None} for s in told["sources"]]
        await route.fulfill(response=response, json=told)

    await screen.page.route("**/v1/status", without)
    await screen.page.goto(f"{screen.address}/#documents")
    await screen.page.reload()

    await expect(screen.page.get_by_text('url = "upload:"')).to_be_visible()
    await expect(screen.page.get_by_role("button", name="choose files")).to_have_count(0)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1360), ("dark", 1360), ("light", 360), ("dark", 360)])
async def test_every_state_can_be_read_by_everybody(open_page: Open, names: Names, scheme: str, width: int) -> None:
    # given uploads in every state
    screen = await open_page(scheme=scheme, width=width, view="documents")
    long = names("a-name-that-is-long-" + "and-longer-" * 12 + ".md")
    bad, slow = names("bad.pdf"), names("slow.bin")
    await choose(screen, file(long, b"# Long"), file(bad, b"%PDF-"))
    await expect(uploads(screen).filter(has_text="ready")).to_have_count(1, timeout=COMES_MS)
    await expect(uploads(screen).filter(has_text="could not be read")).to_have_count(1, timeout=COMES_MS)
    await choose(screen, file(long, b"# Other"))
    await expect(uploads(screen).get_by_role("alert")).to_be_visible()
    held: list[Route] = []

    async def hold(route: Route) -> None:
        held.append(route)

    await screen.page.route("**/v1/documents?name=*slow*", hold)
    await choose(screen, file(slow, b"x" * 1000))
    await expect(uploads(screen).get_by_role("button", name=f"Stop uploading {slow}")).to_be_visible()
    await only(screen, names.folder)
    await expect(row(screen, f"uploads/{bad}")).to_contain_text("Expected")
    await screen.page.get_by_role("button", name=f"Delete uploads/{long}").click()
    # then nothing is cut off, and all of it can be read
    assert await screen.sideways() <= 0
    assert await screen.serious() == []
    # and one that is on its way can be stopped
    await uploads(screen).get_by_role("button", name=f"Stop uploading {slow}").click()
    await expect(uploads(screen).filter(has_text=slow)).to_contain_text("was stopped")
    assert await registry(screen, slow) == []
    assert len(held) == 1


@pytest.mark.parametrize("width", [1360, 360])
async def test_what_a_language_model_told_is_shown_and_limits_the_list(open_page: Open, width: int) -> None:
    """The demo has no language model: what one would tell is put into what the server answers."""
    asked: list[str] = []

    async def with_labels(route: Route) -> None:
        response = await route.fetch()
        told: dict[str, Any] = await response.json()
        telling = {"state": "running", "left": 7, "eta_s": 90.0, "error": None, "labels": ["bags", "money"]}
        await route.fulfill(response=response, json={**told, "telling": {**told["telling"], **telling}})

    async def labelled(route: Route) -> None:
        asked.append(route.request.url)
        response = await route.fetch()
        told: dict[str, Any] = await response.json()
        more = {"labels": ["bags"], "summary": "What may be carried, and where."}
        shown = [{**d, **more} for d in told["documents"]] if "documents" in told else None
        await route.fulfill(response=response, json={**told, "documents": shown} if shown else {**told, **more})

    screen = await open_page(width=width, view="documents")
    await screen.page.route("**/v1/status", with_labels)
    await screen.page.route("**/v1/documents?*", labelled)
    await screen.page.route("**/v1/documents/policies/*", labelled)
    await screen.page.reload()
    await screen.page.get_by_label("Source").select_option("policies")
    document = row(screen, "policies/baggage.md")

    await expect(document).to_contain_text("What may be carried, and where.")
    await expect(document.get_by_text("bags", exact=True)).to_be_visible()
    assert await screen.sideways() <= 0
    assert await screen.serious() == []
    await document.get_by_role("button", name="policies/baggage.md", exact=True).click()
    await expect(screen.page.get_by_text("A language model sums it up: What may be carried")).to_be_visible()
    await screen.page.keyboard.press("Escape")
    await screen.page.get_by_label("Label", exact=True).select_option("money")
    async with asyncio.timeout(60):
        while not any("label=" in url for url in asked):  # noqa: ASYNC110 - requests are recorded as they come
            await asyncio.sleep(0.05)
