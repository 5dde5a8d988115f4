# SPDX-License-Identifier: Apache-2.0
"""axe-core over every page, in both themes: no violation of WCAG 2.2 A and AA, nor of what it calls best practice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.sandbox, pytest.mark.usefixtures("socket_enabled")]

REVISION = ("", "/files", "/threads", "/behavior", "/models", "/sign", "/report")
HOUSE = (
    "/",
    "/?turn=reviewer&text=e",
    "/log",
    "/log?q=evidence",
    "/people",
    "/policy",
    "/passkeys",
    "/words",
    "/public",
    "/nowhere",
)


def complaints(page: Page) -> list[str]:
    """What axe finds on the page as it stands, every fold of it opened: rule, impact and the element."""
    page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
    found = Axe().run(page).response
    assert len(found["passes"]) > 5, "axe looked at nothing"
    return [
        f"{page.url}: {violation['id']} ({violation['impact']}) {node['html'][:160]} {node['failureSummary'][:200]}"
        for violation in found["violations"]
        for node in violation["nodes"][:3]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(service: Any, browse: Callable[..., Any], scheme: str) -> None:
    # axe is put in by the driver, past the page's own policy; nothing of the page runs
    page = browse(scheme=scheme, scripts=True).page
    found = []
    for path in HOUSE:
        page.goto(f"{service.url}{path}")
        found += complaints(page)
    for name in REVISION:
        page.goto(f"{service.url}/changes/{service.changes['lift']}/revisions/1{name}")
        found += complaints(page)
    assert found == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_what_is_said_of_a_change(service: Any, browse: Callable[..., Any], scheme: str) -> None:
    revision = f"{service.url}/changes/{service.changes['broken']}/revisions/1"
    page = browse(scheme=scheme, scripts=True, target=f"/changes/{service.changes['broken']}/revisions/1/files").page
    place = page.locator("a.speak").first.get_attribute("href")
    found = []
    for way in ("Publish now", "Save as draft"):
        page.goto(f"{revision}/{place}&line=1")
        found += complaints(page)
        page.get_by_label("Comment on").fill("Why?")
        page.get_by_label("Blocks the change").check()
        page.get_by_role("button", name=way).click()
        page.wait_for_url("**/files#t*")  # loaded, its styles too
        found += complaints(page)
    for place in (f"{revision}/threads", f"{service.url}/changes/{service.changes['broken']}/author"):
        page.goto(place)
        found += complaints(page)
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    found += complaints(page)
    assert found == []


def test_axe_finds_nothing_where_nobody_is_signed_in(service: Any, browse: Callable[..., Any]) -> None:
    opened = browse(scripts=True)
    opened.context.clear_cookies()
    found = []
    for path in ("/sign-in", "/sign-in?token=used-up", "/words", "/public"):
        opened.page.goto(f"{service.url}{path}")
        found += complaints(opened.page)
    assert found == []


def test_axe_would_find_what_is_wrong(browse: Callable[..., Any]) -> None:
    page = browse(scripts=True).page
    page.evaluate("document.documentElement.removeAttribute('lang')")
    assert [found for found in complaints(page) if re.search("html-has-lang", found)]
