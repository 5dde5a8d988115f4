# SPDX-License-Identifier: Apache-2.0
"""Every page in a browser: both themes, with and without scripts, narrow, and hostile."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.sandbox, pytest.mark.usefixtures("socket_enabled")]

DASH = "\N{EN DASH}"
PAGES = ("", "/files", "/threads", "/behavior", "/models", "/sign", "/report")
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_has_a_title_and_no_complaint(
    service: Any, browse: Callable[..., Any], scheme: str, *, scripts: bool
) -> None:
    page = browse(scheme=scheme, scripts=scripts).page
    titles = set()
    for change in service.changes.values():
        for name in PAGES:
            response = page.goto(f"{service.url}/changes/{change}/revisions/1{name}")
            assert response is not None
            assert response.status == 200
            assert page.locator("h1").count() == 1
            titles.add((change, page.title()))
    assert len(titles) == len(PAGES) * len(service.changes)
    for path, title in (("/", r"\(3\) Queue|\(\d\) Queue|Queue"), ("/log", "Log"), (f"/changes/{change}", ".+")):
        page.goto(f"{service.url}{path}")
        assert re.fullmatch(f"(?:{title}) {DASH} Countersign", page.title())


@pytest.mark.parametrize("width", [320, 768])
def test_no_page_scrolls_sideways(service: Any, browse: Callable[..., Any], width: int) -> None:
    page = browse(scripts=True, width=width).page
    revision = f"/changes/{service.changes['lift']}/revisions/1"
    page.goto(f"{service.url}{revision}/files")
    page.locator("a.speak").first.click()
    page.get_by_label("Comment on the file").fill("w" * 300)
    page.get_by_role("button", name="Publish now").click()
    house = ("/", "/?turn=reviewer", "/log", "/people", "/policy", "/public", "/words")
    for path in (*house, f"/changes/{service.changes['lift']}/author", *(f"{revision}{name}" for name in PAGES)):
        page.goto(f"{service.url}{path}")
        assert page.evaluate(OVERFLOW) == 0, path
        page.keyboard.press("?")
        assert page.evaluate(OVERFLOW) == 0, path
    page.goto(f"{service.url}{revision}")
    page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
    assert page.evaluate(OVERFLOW) == 0


def test_themes_differ_and_the_chart_follows(service: Any, browse: Callable[..., Any]) -> None:
    colours = []
    for scheme in ("light", "dark"):
        page = browse(
            scheme=scheme, scripts=True, target=f"/changes/{service.changes['lift']}/revisions/1/behavior"
        ).page
        ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        ink = page.evaluate("getComputedStyle(document.querySelector('svg.chart .fill-ink')).fill")
        colours.append((ground, ink))
    assert colours[0][0] != colours[1][0]
    assert colours[0][1] != colours[1][1]


def test_hostile_content_is_shown_and_inert(service: Any, browse: Callable[..., Any]) -> None:
    page = browse(scripts=True).page
    revision = f"{service.url}/changes/{service.changes['lift']}/revisions/1"
    for name in PAGES:
        page.goto(f"{revision}{name}")
        assert page.locator("main script, main b b, main i, a[href^='javascript']").count() == 0
        assert "\u202e" not in page.content()
        assert "\u200b" not in page.content()
    page.goto(f"{revision}/files")
    assert page.locator(".hidden-char", has_text="U+202E").count() == 1
    assert "javascript:alert(1)" in page.locator("table.diff").first.inner_text()


def test_each_verdict_is_a_word_and_a_sign(service: Any, browse: Callable[..., Any]) -> None:
    page = browse().page
    page.goto(service.url)
    shown = {text.replace("\n", " ") for text in page.locator(".verdict").all_inner_texts()}
    assert {re.sub(r"\s+", "", text) for text in shown} == {"✓pass", "✕fail", "?inconclusive"}


def test_the_pass_says_what_would_have_been_seen(service: Any, browse: Callable[..., Any]) -> None:
    page = browse(target=f"/changes/{service.changes['tidy']}").page
    said = page.locator(".tile").nth(1).inner_text()
    assert "No shift beyond its margin (1.10 to 1.25) was found in 15 primary cells" in said
    assert "this panel would have seen" in said


def test_the_lift_is_explained_by_slice_ratio_and_lines(service: Any, browse: Callable[..., Any]) -> None:
    page = browse(target=f"/changes/{service.changes['lift']}").page
    assert "state-media" in page.locator(".finding").first.inner_text()
    assert page.locator(".worst-cells li", has_text="amplified").count() >= 1
    page.goto(f"{service.url}/changes/{service.changes['lift']}/revisions/1/behavior")
    assert page.locator("svg.chart[role=img]").count() >= 1
    assert page.locator("table.cells tbody tr").count() >= 15
    page.goto(f"{service.url}/changes/{service.changes['lift']}/revisions/1/files")
    assert "identit" in page.locator("tr.notes").all_inner_texts()[1] + page.locator("table.diff").nth(1).inner_text()


def test_what_moved_in_a_model_is_drawn_named_and_answered_on_the_overview(
    service: Any, browse: Callable[..., Any]
) -> None:
    page = browse(target=f"/changes/{service.changes['lift']}").page
    assert page.locator(".finding", has_text="1 row of items <b> moved out of line").count() == 1
    place = page.locator(".finding .where a", has_text="models/items.npz").first.get_attribute("href")
    assert place.startswith(f"/changes/{service.changes['lift']}/revisions/1/models#")
    page.get_by_role("link", name="Models fail").click()
    assert page.url.endswith("/models")
    assert page.locator("svg.chart[role=img] > title").all_inner_texts() != []
    assert page.locator("table.cells tbody th", has_text=re.compile(r"^i7$")).count() == 1
    assert "Nearest to i7" in page.locator("figure.names figcaption").first.inner_text()
    page.locator("figure.names details summary").first.click()
    assert page.locator("figure.names table.cells td", has_text=re.compile(r"^i\d+ \d")).count() > 1
    page.get_by_role("link", name="Answer on the overview").first.click()
    assert "#" in page.url
    page.goto(f"{service.url}/changes/{service.changes['tidy']}/revisions/1/models")
    assert "the same bytes on both sides" in page.locator("main").inner_text()


def test_a_line_is_a_permalink(service: Any, browse: Callable[..., Any]) -> None:
    page = browse(target=f"/changes/{service.changes['lift']}/revisions/1/files").page
    link = page.locator("table.diff td a").first
    target = link.get_attribute("href")
    link.click()
    assert page.url.endswith(target)
    assert page.locator(f"[id='{target[1:]}']").count() == 1


def test_what_the_code_under_review_said_is_for_the_reviewer(service: Any, browse: Callable[..., Any]) -> None:
    page = browse(target=f"/changes/{service.changes['broken']}").page
    assert "The recommender of head failed: raised" in page.locator(".finding").first.inner_text()
    assert page.locator(".finding b").count() == 0


def test_an_unknown_change_is_a_page_that_leads_back(service: Any, browse: Callable[..., Any]) -> None:
    opened = browse()
    response = opened.page.goto(f"{service.url}/changes/999")
    assert response.status == 404
    assert "There is no change 999" in opened.page.locator("[role=alert]").inner_text()
    assert opened.page.get_by_role("link", name="Go to the queue").count() == 1


def test_who_is_not_signed_in_is_asked_to(service: Any, browse: Callable[..., Any]) -> None:
    opened = browse()
    opened.context.clear_cookies()
    opened.page.goto(f"{service.url}/changes/1")
    assert opened.page.url == f"{service.url}/sign-in?next=/changes/1"
    assert opened.page.title() == f"Sign in {DASH} Countersign"
    opened.page.goto(f"{service.url}/sign-in?token=used-up")
    assert opened.page.locator("[role=alert]").count() == 1


def test_the_stylesheet_is_kept_under_its_content(service: Any, browse: Callable[..., Any]) -> None:
    page = browse().page
    found = page.locator("link[rel=stylesheet]").get_attribute("href")
    response = page.request.get(f"{service.url}{found}")
    assert response.headers["content-type"].startswith("text/css")
    assert "immutable" in response.headers["cache-control"]
    assert page.request.get(f"{service.url}/style/0000000000000000.css").status == 404
