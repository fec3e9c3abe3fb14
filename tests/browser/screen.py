"""The page as a person uses it: words for what the tests do with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.async_api import Error, Locator, Page, Request, WebSocket, expect

from tests.servers import missing

AXE = Path(__file__).parents[2] / "page" / "node_modules" / "axe-core" / "axe.min.js"


class Screen:
    """One open page. `errors` are its uncaught script errors, `elsewhere` its requests to any other host."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        self.frames: list[str] = []
        page.on("pageerror", self._failed)
        page.on("request", self._requested)
        page.on("websocket", self._connected)

    def _failed(self, error: Error) -> None:
        self.errors.append(str(error))

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:")):
            self.elsewhere.append(request.url)

    def _connected(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: self.frames.append(str(frame)))

    async def open(self, view: str = "") -> None:
        """Loads the page, at a view such as `desk`."""
        await self.page.goto(f"{self.address}/{f'#{view}' if view else ''}")
        await expect(self.page.get_by_role("heading", name="Headrace", level=1)).to_be_visible()

    @property
    def question(self) -> Locator:
        return self.page.get_by_role("textbox", name="question").or_(self.page.get_by_role("textbox", name="Follow up"))

    @property
    def turn(self) -> Locator:
        """The last question with its answer."""
        return self.page.locator("article.turn").last

    @property
    def answer(self) -> Locator:
        return self.turn.locator(".answer")

    async def ask_as(self, name: str) -> None:
        """Picks one of the demo's people by the beginning of the name."""
        field = self.page.get_by_label("Ask as")
        option = field.locator("option", has_text=name)
        await field.select_option(value=await option.get_attribute("value"))

    async def ask(self, question: str) -> str:
        """Asks and waits for the whole answer; returns its text without the citations' chips."""
        turns = await self.page.locator("article.turn").count()
        await self.question.fill(question)
        await self.question.press("Enter")
        await expect(self.page.locator("article.turn")).to_have_count(turns + 1)
        return await self.answered()

    async def answered(self) -> str:
        """Waits for the end of the running answer; returns its text without the citations' chips."""
        await expect(self.turn.locator(".freshness")).to_be_visible()
        return await self.answer.evaluate(
            "node => { const copy = node.cloneNode(true); copy.querySelectorAll('.chip').forEach(c => c.remove());"
            " return copy.innerText }"
        )

    async def go(self, view: str) -> None:
        """Opens a view by its tab."""
        await self.page.get_by_role("tab", name=view).click()

    async def edit_row(self, table: str, search: str, **values: str) -> None:
        """At the desk, changes a row's columns, saves, and waits until the change has come by as applied."""
        await self.go("Desk")
        await self.page.locator(".desk-picker").get_by_text(table, exact=True).click()
        await self.page.get_by_label("Find a row").fill(search)
        rows = self.page.locator(".rows > li")
        await expect(rows).to_have_count(1)
        await rows.get_by_role("button").click()
        for column, value in values.items():
            field = self.page.locator(".row-form").get_by_label(column, exact=True)
            if await field.evaluate("node => node.tagName") == "SELECT":
                await field.select_option(value)
            else:
                await field.fill(value)
        await self.save()

    async def save(self) -> None:
        await self.page.get_by_role("button", name="Save", exact=True).click()
        await expect(self.page.locator(".save")).to_contain_text("Seen by answers")

    async def ask_again(self) -> str:
        """By the button beside what was saved."""
        turns = await self.page.locator("article.turn").count()
        await self.page.locator(".save").get_by_role("button", name="Ask again").click()
        await expect(self.page.locator("article.turn")).to_have_count(turns + 1)
        return await self.answered()

    async def is_focused(self, locator: Locator) -> bool:
        return await locator.evaluate("node => node === document.activeElement")

    async def tab_to(self, locator: Locator, *, back: bool = False, most: int = 80) -> None:
        """Presses Tab until the element has the focus, as somebody without a mouse would."""
        for _ in range(most):
            if await self.is_focused(locator):
                return
            await self.page.keyboard.press("Shift+Tab" if back else "Tab")
        raise AssertionError(f"{most} presses of Tab do not reach {locator}")

    async def sideways(self) -> int:
        """By how many pixels anything is wider than the window or than its pane."""
        return await self.page.evaluate(
            "() => Math.max(...[document.documentElement, ...document.querySelectorAll("
            "'[role=tabpanel], .ask-scroll, .pane, [role=dialog]')].map(e => e.scrollWidth - e.clientWidth))"
        )

    async def serious(self) -> list[str]:
        """What axe finds that is serious or critical, as `rule: element`."""
        if not AXE.is_file():
            missing("axe-core (run scripts/build_page.py)")
        await self.page.add_script_tag(path=AXE)
        found: dict[str, Any] = await self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{rule['id']}: {node['html'][:200]}"
            for rule in found["violations"]
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]
