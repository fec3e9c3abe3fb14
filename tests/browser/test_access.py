"""For everybody: by keyboard, light and dark, on a phone, with a screen reader."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Open
from tests.browser.screen import Screen

pytestmark = pytest.mark.asyncio(loop_scope="session")

BAGS = "How many free checked bags does a gold member get in business class?"
PHONE = 360
DESKTOP = 1360
VIEWS = ("Live", "Desk", "Doc", "Status")


async def test_by_keyboard_alone(open_page: Open) -> None:
    # given
    screen = await open_page()
    keys = screen.page.keyboard
    await expect(screen.page.get_by_role("button", name=BAGS)).to_be_visible()
    # when a question is typed and sent
    await screen.tab_to(screen.question)
    await keys.type(BAGS)
    await keys.press("Enter")
    await screen.answered()
    # then its source can be reached, opened and closed
    chip = screen.answer.locator(".chip").first
    await screen.tab_to(chip, back=True)
    await keys.press("Enter")
    panel = screen.page.get_by_role("dialog")
    await expect(panel.get_by_test_id("quote")).to_be_in_viewport()
    await keys.press("Escape")
    await expect(chip).to_be_focused()
    # and a row found, changed and saved
    await screen.tab_to(screen.page.get_by_role("tab", name="Live"))
    await keys.press("ArrowRight")
    search = screen.page.get_by_label("Find a row")
    await screen.tab_to(search)
    await keys.type("HAT170 2024-05-22")
    row = screen.page.locator(".rows > li")
    await expect(row).to_have_count(1)
    await screen.tab_to(row.get_by_role("button"))
    await keys.press("Enter")
    seats = screen.page.get_by_label("economy_seats", exact=True)
    await screen.tab_to(seats)
    before = await seats.input_value()
    await keys.press("ControlOrMeta+a")
    await keys.type("9" if before != "9" else "8")
    await keys.press("Enter")
    await expect(screen.page.locator(".save")).to_contain_text("Seen by answers")


async def test_what_has_the_focus_is_seen(open_page: Open) -> None:
    screen = await open_page()
    await expect(screen.page.get_by_role("button", name=BAGS)).to_be_visible()
    for _ in range(12):
        await screen.page.keyboard.press("Tab")
        outline = await screen.page.evaluate(
            "() => { const e = document.activeElement; const s = getComputedStyle(e);"
            " const t = e.matches('[type=radio]') ? getComputedStyle(e.nextElementSibling) : s;"
            " return parseFloat(s.outlineWidth) || parseFloat(t.outlineWidth) }"
        )
        assert outline >= 2


async def test_it_follows_the_system_and_can_be_switched(open_page: Open) -> None:
    # given two people whose systems differ
    light, dark = await open_page(scheme="light"), await open_page(scheme="dark")
    assert await brightness(light) > 200
    assert await brightness(dark) < 60
    # when the one of the dark system wants it light
    await dark.page.get_by_role("button", name="Colours").click()
    # then it is, and stays so
    await dark.page.wait_for_function("document.documentElement.dataset.mantineColorScheme === 'light'")
    assert await brightness(dark) > 200
    await dark.page.reload()
    await expect(dark.page.get_by_role("button", name="Colours: light")).to_be_visible()
    assert await brightness(dark) > 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
async def test_axe_finds_nothing_serious_and_nothing_is_cut_off(open_page: Open, scheme: str, width: int) -> None:
    # given the page as it opens
    screen = await open_page(scheme=scheme, width=width, height=740)
    await expect(screen.page.get_by_role("button", name=BAGS)).to_be_visible()
    assert await faults(screen, "start") == []
    # when there is an answer, and its source is open
    await screen.ask(BAGS)
    assert await faults(screen, "answer") == []
    await screen.answer.locator(".chip").first.click()
    await expect(screen.page.get_by_role("dialog").get_by_test_id("quote")).to_be_in_viewport()
    assert await faults(screen, "source") == []
    await screen.page.keyboard.press("Escape")
    # and in every view
    for view in VIEWS:
        await screen.go(view)
        await expect(screen.page.locator(".pane h2")).to_be_visible()
        await expect(screen.page.locator(".loading")).to_have_count(0)
        assert await faults(screen, view) == []
    # and at the desk with a row and a policy open
    await screen.go("Desk")
    await screen.page.locator(".rows > li button").first.click()
    await expect(screen.page.get_by_role("button", name="Save", exact=True)).to_be_visible()
    assert await faults(screen, "row") == []
    await screen.page.locator(".desk-picker").get_by_text("policies", exact=True).click()
    await expect(screen.page.get_by_label("Text (Markdown)")).to_be_visible()
    assert await faults(screen, "policy") == []
    # then all of it came from the server itself
    assert screen.elsewhere == []


async def test_the_list_of_changes_holds_still_when_asked_to(open_page: Open) -> None:
    # given changes that pass
    screen = await open_page(view="live")
    rows = screen.page.locator(".change-list > li")
    await screen.page.request.post(f"{screen.address}/demo/simulator", data={"running": True, "speed": 5})
    await expect(rows.first).to_be_visible()
    # when it is told to hold
    await screen.page.get_by_role("button", name="Hold the list").click()
    held = await rows.all_inner_texts()
    # then others pass and it stays
    await expect(screen.page.locator(".changes-still")).to_contain_text("passed since")
    assert await rows.all_inner_texts() == held
    # until it may go on
    await screen.page.get_by_role("button", name="Let it run").click()
    await expect(rows.first).not_to_have_text(held[0])
    await screen.page.request.post(f"{screen.address}/demo/simulator", data={"speed": 1})


async def faults(screen: Screen, where: str) -> list[str]:
    sideways = await screen.sideways()
    wide = [f"{where}: {sideways} px too wide"] if sideways > 0 else []
    return wide + [f"{where}: {fault}" for fault in await screen.serious()]


async def brightness(screen: Screen) -> float:
    """Of the page's ground, 0 to 255."""
    return await screen.page.evaluate(
        "() => { const c = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number);"
        " return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] }"
    )
