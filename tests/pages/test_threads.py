# SPDX-License-Identifier: Apache-2.0
"""What is said about a change, in a browser: without scripts, with the keyboard alone, and hostile."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from service import comments
from service.comments import Author
from service.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.sandbox, pytest.mark.usefixtures("socket_enabled")]

HOSTILE = "\u202e<img src=x onerror=alert(1)>\n\njavascript:alert(1)"


def _tab(page: Page, name: str) -> str:
    found: str = page.get_by_role("navigation", name="Pages of this change").get_by_role("link", name=name).inner_text()
    return found.strip()


def _focused(page: Page) -> str:
    found: str = page.evaluate("document.activeElement.getAttribute('href') || document.activeElement.id")
    return found


def test_a_line_is_spoken_of_published_answered_and_resolved_without_scripts(
    service: Any, browse: Callable[..., Any]
) -> None:
    change = service.changes["tidy"]
    page = browse(scripts=False, target=f"/changes/{change}/revisions/1/files").page
    page.locator("a.speak").first.click()
    page.get_by_role("textbox", name="Line").fill("1")
    page.get_by_role("button", name="Choose the line").click()
    line = page.locator(".around .here td").last.inner_text()
    page.get_by_label("Comment on line 1 of head").fill(HOSTILE)
    page.get_by_label("Blocks the change").check()
    page.get_by_role("button", name="Save as draft").click()
    assert "/files#t" in page.url
    thread = page.locator("article.thread")
    assert "seen by you alone" in thread.inner_text()
    assert _tab(page, "Threads") == "Threads"
    page.get_by_role("link", name="Publish them").click()
    page.get_by_label("An answer to the change").fill("One thing.")
    page.get_by_role("button", name="Publish 1 draft").click()

    assert "1 blocking" in _tab(page, "Threads")
    block = page.locator("section[aria-labelledby=blocking]")
    assert "⟦U+202E⟧<img src=x onerror=alert(1)>" in block.inner_text()
    assert block.locator(".quote").inner_text() == line
    assert (block.locator("img").count(), block.locator("a[href^=javascript]").count()) == (0, 0)
    assert "One thing." in page.locator("section[aria-labelledby=open]").inner_text()
    page.goto(f"{service.url}/changes/{change}/revisions/1/sign")
    assert "Unresolved: 1 blocking thread, 2 open threads" in page.locator(".coverage").inner_text()

    context = service.app.state.context
    number = int((block_id(page, service, change)).removeprefix("t"))
    comments.reply(context, change, number, text="Because.", author=Author(None, "tiny"))
    page.goto(f"{service.url}/changes/{change}/revisions/1/files")
    thread = page.locator("tr.notes article.thread")
    assert "platform tiny (whose change it is)" in thread.inner_text()
    thread.locator("summary").click()
    thread.get_by_label("Answer", exact=True).fill("I see.")
    thread.get_by_role("button", name="Publish and resolve").click()
    assert "Resolved" in page.locator("section[aria-labelledby=resolved]").inner_text()
    assert "resolved it" in page.locator("section[aria-labelledby=resolved]").inner_text()
    assert "1 open" in _tab(page, "Threads")
    page.locator("section[aria-labelledby=resolved]").get_by_role("button", name=re.compile("Open again")).click()
    assert "1 blocking" in _tab(page, "Threads")


def block_id(page: Page, service: Any, change: int) -> str:
    """The anchor of the thread that blocks."""
    page.goto(f"{service.url}/changes/{change}/revisions/1/threads")
    found: str = page.locator("section[aria-labelledby=blocking] article").get_attribute("id")
    return found


def test_a_line_that_there_is_not_is_said_and_no_comment_goes_to_it(service: Any, browse: Callable[..., Any]) -> None:
    page = browse(target=f"/changes/{service.changes['tidy']}/revisions/1/files").page
    place = page.locator("a.speak").first.get_attribute("href")
    page.goto(f"{service.url}/changes/{service.changes['tidy']}/revisions/1/{place}&line=99999")
    assert "no line 99999" in page.locator("[role=alert]").inner_text()
    assert page.get_by_label("Comment on the file").count() == 1
    response = page.goto(f"{service.url}/changes/{service.changes['tidy']}/revisions/1/comment?file=f000000000000")
    assert response.status == 404


def test_lines_chunks_and_files_are_reached_by_the_keyboard_alone(service: Any, browse: Callable[..., Any]) -> None:
    page = browse(scripts=True, target=f"/changes/{service.changes['lift']}").page
    press = page.keyboard.press
    press("f")
    page.wait_for_url("**/files")
    press("j")
    first = _focused(page)
    press("j")
    second = _focused(page)
    assert re.fullmatch(r"#f[0-9a-f]{12}[LR]\d+", first)
    assert first != second
    press("k")
    assert _focused(page) == first
    press("n")
    chunk = page.evaluate("document.activeElement.closest('tr').className")
    assert chunk in {"plus", "minus"}
    press("]")
    here = _focused(page)
    press("[")
    there = _focused(page)
    assert re.fullmatch(r"f[0-9a-f]{12}", here)
    assert here != there
    press("]")
    assert _focused(page) == here


def test_a_line_is_spoken_of_and_a_file_viewed_by_the_keyboard_alone(service: Any, browse: Callable[..., Any]) -> None:
    page = browse(scripts=True, target=f"/changes/{service.changes['lift']}/revisions/1/files").page
    press = page.keyboard.press
    press("n")
    line = _focused(page)
    press("c")
    page.wait_for_url("**/comment?**")
    side = "head" if "R" in line else "base"
    label = page.get_by_label(re.compile(f"Comment on line {re.sub('.*[LR]', '', line)} of {side}"))
    label.focus()
    page.keyboard.type("Is this jkfr?")
    press("Control+Enter")
    page.wait_for_url("**/files#t*")
    assert page.locator("article.thread textarea").input_value() == "Is this jkfr?"

    before = page.locator(".file-list").inner_text()
    press("r")
    expect(page.locator(".file.is-viewed")).to_have_count(1)
    page.wait_for_load_state("load")  # until then the page has no keys
    press("r")
    expect(page.locator(".file.is-viewed")).to_have_count(0)
    page.wait_for_load_state("load")
    assert page.locator(".file-list").inner_text() == before
    press("u")
    page.wait_for_url(re.compile(r"/revisions/1$"))
    press("g")
    press("t")
    page.wait_for_url("**/threads")
    press("N")
    assert _focused(page).startswith("t")
    press("g")
    press("q")
    page.wait_for_url(f"{service.url}/")
    press("j")
    assert _focused(page).startswith("/changes/")


def test_the_help_shows_the_table_and_its_switch_is_remembered(service: Any, browse: Callable[..., Any]) -> None:
    page = browse(scripts=True).page
    page.keyboard.press("?")
    rows = page.locator("#keys dl > div")
    shown = [(row.locator("kbd").all_inner_texts(), row.locator("dd").inner_text()) for row in rows.all()]
    assert shown == [(key.press.split(), key.meaning) for group in KEYS for key in group.keys]
    page.get_by_label("Switch single keys off").check()
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()
    page.goto(f"{service.url}/changes/{service.changes['lift']}")
    page.keyboard.press("f")
    page.keyboard.press("?")
    assert not page.locator("#keys").is_visible()
    page.get_by_role("button", name="Keys").click()
    assert page.get_by_label("Switch single keys off").is_checked()
    assert page.url.endswith(f"/changes/{service.changes['lift']}")


def test_every_key_is_bound_once_to_something_the_script_does(root: Path) -> None:
    script = (root / "service" / "static" / "keys.js").read_text(encoding="utf-8")
    known = set(re.findall(r"^    \"?([a-z-]+)\"?(?::|,$)", script.partition("const does = {")[2], re.MULTILINE))
    keys = [key for group in KEYS for key in group.keys]
    assert {key.does for key in keys if not key.does.startswith("go ")} == known
    pressed = [key.press for key in keys]
    assert len(set(pressed)) == len(pressed)
    starts = {press.split(" ")[0] for press in pressed if " " in press}
    assert not starts & set(pressed)


def test_the_documentation_has_the_table(root: Path) -> None:
    text = (root / "docs" / "keys.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| `(.+?)` \| (.+?) \|$", text, re.MULTILINE)
    assert found == [(key.press, key.meaning) for group in KEYS for key in group.keys]
