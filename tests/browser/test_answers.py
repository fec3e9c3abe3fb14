"""Ask, watch, look up what it stands on, change that, and ask again."""

from __future__ import annotations

import json
import random
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Route, WebSocketRoute, expect

from tests.browser.conftest import Open
from tests.browser.screen import Screen

pytestmark = pytest.mark.asyncio(loop_scope="session")

BAGS = "How many free checked bags does a gold member get in business class?"
FLIGHT = "Is HAT170 on May 22 still available in business, and at what price?"

WATCH_ANSWERS = """() => {
  window.lengthsSeen = [];
  new MutationObserver(() => {
    const answer = [...document.querySelectorAll(".answer")].at(-1);
    if (answer) window.lengthsSeen.push(answer.innerText.length);
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def calm(open_page: Open) -> AsyncIterator[Screen]:
    """The page while the airline is paused, so that only what a test changes changes."""
    screen = await open_page()
    await screen.page.request.post(f"{screen.address}/demo/simulator", data={"running": False})
    yield screen
    await screen.page.request.post(f"{screen.address}/demo/simulator", data={"running": True})


async def test_an_answer_streams_and_its_citation_opens_at_the_quoted_place(open_page: Open) -> None:
    # given
    screen = await open_page()
    await screen.page.evaluate(WATCH_ANSWERS)
    # when a question is asked whose answer has several sentences
    text = await screen.ask("How are free checked bags decided by membership?")
    # then it came in pieces, each seen before the next, and says what the policy says
    kinds = [json.loads(frame)["chunk"]["type"] for frame in screen.frames]
    assert kinds[0] == "start"
    assert kinds[-1] == "finish"
    assert kinds.count("text-delta") >= 2
    assert await screen.page.evaluate("new Set(window.lengthsSeen).size") >= 2
    assert "regular member" in text
    await expect(screen.turn.locator(".stages")).to_contain_text("retrieve")
    # when its first citation is opened
    chip = screen.answer.locator(".chip").first
    await chip.click()
    # then the document shows with the quoted words marked, in view
    panel = screen.page.get_by_role("dialog")
    quote = panel.get_by_test_id("quote")
    await expect(quote).to_be_in_viewport()
    marked = " ".join((await quote.inner_text()).split())
    quoted = await screen.turn.locator(".source-quote").first.inner_text()
    assert marked == " ".join(quoted.split())
    assert len(marked) > 10
    # and closing it leads back to where one was
    await screen.page.keyboard.press("Escape")
    await expect(panel).to_be_hidden()
    await expect(chip).to_be_focused()


async def test_a_row_changed_at_the_desk_is_in_the_next_answer(calm: Screen) -> None:
    # given an answer about a flight
    price = str(random.randint(401, 999))
    before = await calm.ask(FLIGHT)
    assert price not in before
    # when its row is changed by hand and the question asked again
    await calm.edit_row(
        "flight dates", "HAT170 2024-05-22", status="available", business_seats="7", business_price=price
    )
    after = await calm.ask_again()
    # then the answer has the new price, says that it changed, and how young the row is
    assert price in after
    await expect(calm.turn).to_contain_text("The answer changed")
    await expect(calm.turn.locator(".chip-fresh").first).to_be_visible()


async def test_a_citation_shows_what_the_answer_saw_and_what_is_there_now(calm: Screen) -> None:
    # given an answer from a row that is changed afterwards
    old, new = (str(price) for price in random.sample(range(401, 999), 2))
    row = {"status": "available", "business_seats": "3"}
    await calm.edit_row("flight dates", "HAT170 2024-05-22", **row, business_price=old)
    await calm.ask(FLIGHT)
    await calm.page.get_by_role("button", name="Back to the rows").click()
    await calm.edit_row("flight dates", "HAT170 2024-05-22", business_price=new)
    # when its citation is opened
    await calm.answer.locator(".chip", has_text="1").first.click()
    # then both versions can be seen
    panel = calm.page.get_by_role("dialog")
    text = panel.get_by_role("region", name="Text of the document")
    await expect(panel).to_contain_text("changed since the answer")
    await expect(text).to_contain_text(old)
    await panel.get_by_text("As it is now").click()
    await expect(text).to_contain_text(new)


async def test_a_policy_edited_at_the_desk_is_in_the_next_answer(calm: Screen) -> None:
    # given an answer from a policy
    fee = str(random.randint(101, 199))
    assert fee not in await calm.ask("How much is an extra checked bag?")
    await calm.go("Desk")
    await calm.page.locator(".desk-picker").get_by_text("policies", exact=True).click()
    await calm.page.get_by_label("Policy").select_option("baggage.md")
    field = calm.page.get_by_label("Text (Markdown)")
    await expect(field).to_have_value(re.compile("Each extra checked bag is"))
    text = await field.input_value()
    start = text.index("Each extra checked bag is")
    end = text.index("\n", start)
    # when the fee is changed
    await field.fill(f"{text[:start]}Each extra checked bag is {fee} dollars.{text[end:]}")
    await calm.save()
    # then the next answer has it
    assert fee in await calm.ask_again()
    await field.fill(text)
    await calm.save()


async def test_who_asks_decides(open_page: Open) -> None:
    # given
    screen = await open_page()
    # when one of the demo's people asks about herself, and then goes on
    await screen.ask_as("Mia Li")
    first = await screen.ask("What is my next flight?")
    # then the answer stands on a fact of her profile
    await expect(screen.answer.locator(".chip", has_text="F1").first).to_be_visible()
    await expect(screen.turn).to_contain_text("asked as Mia Li")
    second = await screen.ask("And the one after?")
    assert second != first


async def test_what_the_sources_do_not_say_looks_different(open_page: Open) -> None:
    screen = await open_page()
    await screen.ask("Who won the football world cup in 1974?")
    await expect(screen.turn).to_contain_text("Not in the sources")
    await expect(screen.turn.locator(".chip")).to_have_count(0)


async def test_a_broken_connection_goes_on_where_it_stopped(open_page: Open) -> None:
    # given a connection that breaks once, amid an answer, and loses a piece of it
    screen = await open_page()
    connections = 0
    broken = False

    async def unreliable(route: WebSocketRoute) -> None:
        nonlocal connections
        connections += 1
        mine = connections
        server = route.connect_to_server()

        async def pass_on(message: str | bytes) -> None:
            nonlocal broken
            if broken and mine == 1:
                return
            if not broken and json.loads(message)["chunk"]["type"] == "text-delta":
                broken = True
                await route.close(code=1012, reason="broken for the test")
                return
            route.send(message)

        server.on_message(pass_on)

    await screen.page.route_web_socket("**/ws", unreliable)
    await screen.page.reload()
    # when
    text = await screen.ask(BAGS)
    # then the answer is whole, and each piece of it there once
    assert connections == 2
    answer = await screen.page.request.post(f"{screen.address}/v1/ask", data={"question": BAGS})
    expected = (await answer.json())["answer"]
    assert plain(text) == plain(expected)


async def test_an_error_says_what_to_do(open_page: Open) -> None:
    # given a server that cannot answer
    screen = await open_page()

    async def refuse(route: WebSocketRoute) -> None:
        problem = {"title": "The model did not answer", "step": "generate", "remedy": "Start the model's server."}
        chunk = {"type": "error", "errorText": problem["title"], "problem": problem}
        route.on_message(lambda _: route.send(json.dumps({"v": 1, "run": "r", "seq": 0, "chunk": chunk})))

    await screen.page.route_web_socket("**/ws", refuse)
    await screen.page.reload()
    # when
    await screen.question.fill(BAGS)
    await screen.question.press("Enter")
    # then
    alert = screen.turn.get_by_role("alert")
    await expect(alert).to_contain_text("The model did not answer")
    await expect(alert).to_contain_text("Start the model's server.")
    await expect(alert.get_by_role("button", name="Try again")).to_be_visible()


async def test_without_the_demo_there_is_no_desk(open_page: Open) -> None:
    # given a server that has no demo
    screen = await open_page()

    async def not_there(route: Route) -> None:
        await route.fulfill(status=404, content_type="application/problem+json", body='{"title": "Not found"}')

    await screen.page.route("**/demo/**", not_there)
    await screen.page.reload()
    # then asking works, by an identifier, and the airline is not spoken of
    await expect(screen.page.get_by_role("textbox", name="Ask as")).to_be_visible()
    await expect(screen.page.get_by_role("tab", name="Desk")).to_have_count(0)
    await expect(screen.page.get_by_role("button", name="Pause the airline")).to_have_count(0)
    assert await screen.ask(BAGS)


def plain(answer: str) -> str:
    """Its words, without citation marks."""
    return " ".join(re.sub(r"\[F?\d+\]|\*\*|^[-*] ", " ", answer, flags=re.MULTILINE).split())
