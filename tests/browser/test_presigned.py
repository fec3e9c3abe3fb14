"""Large files go from the browser to an object store, past Headrace, under the page's own policy; or say why not."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Browser, FilePayload, Locator, Page, Route, expect

from tests.object_store import BUCKET, ENVIRONMENT, ObjectServer
from tests.uploading import SETTINGS, upload
from tests.whole import Whole, whole

pytestmark = pytest.mark.asyncio(loop_scope="session")

COMES_MS = 60_000


@dataclass(frozen=True, slots=True)
class Here:
    headrace: Whole
    store: ObjectServer

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.headrace.port}"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    folder = tmp_path_factory.mktemp("presigned-page")
    store = ObjectServer(folder / "moto.log")
    address = f"s3://{BUCKET}?region=us-east-1&endpoint={store.url}"
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in ENVIRONMENT.items():
                patch.setenv(name, value)
            settings = f'{SETTINGS}[uploads]\nobject_store = "{address}"\nmin_bytes = 1000\n'
            with whole(folder, settings) as running:
                yield Here(running, store)
    finally:
        store.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, here: Here) -> AsyncIterator[Page]:
    """The view of documents; its policy is kept, as in everybody's browser."""
    context = await browser.new_context(reduced_motion="reduce")
    opened = await context.new_page()
    await opened.goto(f"{here.address}/#documents")
    await expect(opened.get_by_role("button", name="choose files")).to_be_visible(timeout=COMES_MS)
    yield opened
    await context.close()


def file(data: bytes) -> FilePayload:
    return {"name": f"{secrets.token_hex(4)}.txt", "mimeType": "text/plain", "buffer": data}


async def choose(page: Page, *files: FilePayload) -> list[Locator]:
    await page.get_by_label("Files to upload").set_input_files(list(files))
    shown = page.get_by_role("list", name="Uploads").get_by_role("listitem")
    return [shown.filter(has_text=each["name"]) for each in files]


async def test_a_large_file_is_put_to_the_store_and_a_small_one_is_not(page: Page, here: Here) -> None:
    # given a file of each kind
    large, small = file(b"large " * 50_000), file(b"small")
    before = here.store.puts()
    # when they are chosen
    shown = await choose(page, large, small)
    # then both are found, one of them by way of the store, which keeps nothing
    for one in shown:
        await expect(one).to_contain_text("ready", timeout=COMES_MS)
        await expect(one).not_to_contain_text("through Headrace")
    assert here.store.puts() == before + 1
    assert here.store.keys() == []
    assert here.headrace.document(f"uploads/{large['name']}")["text"].startswith("large large")


async def test_a_name_that_was_taken_meanwhile_is_replaced_without_a_second_sending(page: Page, here: Here) -> None:
    # given a document that somebody else puts in while a file of its name is on its way
    one = file(b"mine " * 1000)

    async def meanwhile(route: Route) -> None:
        await asyncio.to_thread(upload, here.headrace, one["name"], b"somebody else's")
        await route.continue_()

    await page.route(f"{here.store.url}/**", meanwhile)
    before = here.store.puts()
    [shown] = await choose(page, one)
    await expect(shown).to_contain_text("A document of this name is there already", timeout=COMES_MS)
    # when it is to be replaced after all
    await page.unroute(f"{here.store.url}/**")
    await shown.get_by_role("button", name="Replace it").click()
    # then what lies at the store is taken
    await expect(shown).to_contain_text("ready", timeout=COMES_MS)
    assert here.store.puts() == before + 1
    assert here.headrace.document(f"uploads/{one['name']}")["text"].startswith("mine mine")


async def test_a_store_that_keeps_the_page_out_is_gone_around_and_it_says_so(page: Page, here: Here) -> None:
    """To a page, rules of CORS that keep it out look as a server that does not answer."""

    async def kept_out(route: Route) -> None:
        await route.abort("failed")

    await page.route(f"{here.store.url}/**", kept_out)
    before = here.store.puts()

    [shown] = await choose(page, file(b"round " * 1000))

    await expect(shown).to_contain_text("ready", timeout=COMES_MS)
    await expect(shown).to_contain_text("Sent through Headrace")
    await expect(shown).to_contain_text("CORS")
    assert here.store.puts() == before
