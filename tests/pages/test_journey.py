# SPDX-License-Identifier: Apache-2.0
"""A whole review without scripts: queue, change, answers, files, behaviour, signature, log."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.sandbox, pytest.mark.usefixtures("socket_enabled")]


def _answer(page: Page, kind: str, text: str) -> None:
    """Answer the first finding that has no answer."""
    form = page.locator(".finding:not(:has(.answer))").first.locator("form")
    details = page.locator(".finding:not(:has(.answer)) details:has(form)").first
    if not form.is_visible():
        details.locator("summary").first.click()
    form.locator(f"input[value={kind}]").check()
    form.locator("textarea").fill(text)
    form.get_by_role("button", name="Save answer").click()


def _prepare(page: Page, decision: str, **fields: str) -> None:
    form = page.locator("form.decision").first
    form.locator(f"input[value={decision}]").check()
    for name, text in fields.items():
        form.locator(f"textarea[name={name}]").fill(text)
    form.get_by_role("button", name="Prepare the statement").click()


def _sign(page: Page, key: Path, folder: Path) -> Path:
    """Download the bytes to sign, check them against the page, and sign them with ssh-keygen."""
    with page.expect_download() as download:
        page.get_by_role("link", name="statement.pae").click()
    statement = folder / "statement.pae"
    download.value.save_as(statement)
    digest = hashlib.sha256(statement.read_bytes()).hexdigest()
    assert digest in page.locator("#statement ~ dl").last.inner_text()
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "countersign", "-f", key, statement]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "statement.pae.sig"


def test_a_change_is_read_answered_viewed_signed_and_logged(
    service: Any, browse: Callable[..., Any], tmp_path: Path
) -> None:
    page = browse(scripts=False).page
    page.get_by_role("link", name="Tidy the docstrings").click()
    assert page.locator("h1").inner_text().endswith("Tidy the docstrings")

    page.get_by_role("navigation", name="Pages of this change").get_by_role("link", name="Files").click()
    page.get_by_role("button", name=re.compile("Viewed, next")).click()
    assert page.locator(".file-list").inner_text().startswith("1 of 1 file viewed")
    page.get_by_role("link", name="Behavior").click()
    assert page.locator(".said .verdict").inner_text().endswith("pass")

    page.get_by_role("link", name="Sign-off", exact=True).click()
    assert "0 not viewed by you" in page.locator(".coverage").inner_text()
    _prepare(page, "APPROVED", meaning="Docstrings only.")
    stated = json.loads(page.locator("pre.bytes").inner_text())
    assert stated["predicate"]["meaning"] == "Docstrings only."
    assert stated["predicate"]["coverage"] == {
        "files": 1,
        "viewed": 1,
        "findings": 0,
        "answered": 0,
        "waived": [],
        "waivedFindings": [],
        "waivedUnlisted": 0,
    }
    page.locator("input[name=signature]").set_input_files(_sign(page, service.key, tmp_path))
    page.get_by_role("button", name="Sign off").click()

    assert page.locator(".signoffs li").inner_text().startswith("approved by Rosa <i>Reviewer</i>")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the bundle").click()
    assert json.loads(download.value.path().read_text(encoding="utf-8"))
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Log").click()
    assert "APPROVED by Rosa <i>Reviewer</i>" in page.locator("table.plain").inner_text()
    assert page.locator("pre.sample").inner_text().startswith("countersign\n")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Public").click()
    page.get_by_role("link", name=re.compile("^[0-9a-f]{12}$")).click()
    assert "Approved by Rosa <i>Reviewer</i>" in page.locator("main").inner_text()
    _for_everybody(browse, page.url)


def _for_everybody(browse: Callable[..., Any], address: str) -> None:
    """A public page without a session, as it is and as axe sees it; and it does not scroll sideways on a phone."""
    opened = browse(scripts=True, width=320)
    opened.context.clear_cookies()
    opened.page.goto(address)
    assert "Verify it yourself" in opened.page.locator("main").inner_text()
    assert opened.page.get_by_role("navigation", name="Main").count() == 0
    assert opened.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert Axe().run(opened.page).response["violations"] == []


def test_a_signature_over_other_bytes_is_refused_and_nothing_is_signed(
    service: Any, browse: Callable[..., Any], tmp_path: Path
) -> None:
    page = browse(scripts=False, target=f"/changes/{service.changes['broken']}/revisions/1/sign").page
    _prepare(page, "REJECTED")
    signature = _sign(page, service.key, tmp_path)
    page.go_back()
    _prepare(page, "APPROVED")
    page.locator("textarea[name=signature_text]").fill(signature.read_text(encoding="ascii"))
    page.get_by_role("button", name="Sign off").click()
    assert page.locator("h1").inner_text() == "That cannot be used"
    page.get_by_role("link", name="Go back to the change").click()
    assert page.locator(".signoffs").count() == 0


def test_answers_are_kept_with_who_and_when_and_can_be_changed(service: Any, browse: Callable[..., Any]) -> None:
    page = browse(scripts=False, target=f"/changes/{service.changes['lift']}/revisions/1").page
    before = page.locator(".finding:not(:has(.answer))").count()
    _answer(page, "must-change", "Take the outlets out.\n<b>All</b> of them.")
    assert re.search(r"#finding-[0-9a-f]{12}$", page.url)
    first = page.locator(".finding").first
    assert page.locator(".finding:not(:has(.answer))").count() == before - 1
    assert "Must change Rosa <i>Reviewer</i>" in first.locator(".answer").inner_text().replace("\n", " ")
    assert "<b>All</b> of them." in first.inner_text()
    first.get_by_text("Change the answer").click()
    first.locator("input[value=acknowledged]").check()
    first.locator("textarea").fill("Discussed with the author.")
    first.get_by_role("button", name="Save answer").click()
    assert first.locator(".answer").inner_text().startswith("Accept")


def test_a_rejection_by_pasted_signature_turns_to_the_author(
    service: Any, browse: Callable[..., Any], tmp_path: Path
) -> None:
    page = browse(scripts=False, target=f"/changes/{service.changes['lift']}/revisions/1/sign").page
    _prepare(page, "REJECTED", meaning="It lifts state outlets.")
    signature = _sign(page, service.key, tmp_path)
    page.locator("textarea[name=signature_text]").fill(signature.read_text(encoding="ascii"))
    page.get_by_role("button", name="Sign off").click()
    assert page.locator(".signoffs li").inner_text().startswith("rejected by")
    assert page.get_by_role("link", name="Download the bundle").count() == 0
    page.goto(service.url)
    group = page.locator(".queue", has=page.get_by_role("heading", name="The author's turn"))
    assert "Fresher" in group.inner_text()


@pytest.mark.parametrize(
    ("decision", "fields", "message"),
    [
        ("APPROVED_WITH_CONDITIONS", {}, "at least one condition"),
        ("APPROVED", {"meaning": "x" * 3999}, None),
    ],
)
def test_a_decision_that_does_not_hold_together_is_refused(
    service: Any, browse: Callable[..., Any], decision: str, fields: dict[str, str], message: str | None
) -> None:
    page = browse(scripts=False, target=f"/changes/{service.changes['broken']}/revisions/1/sign").page
    _prepare(page, decision, **fields)
    if message is None:
        assert page.locator("pre.bytes").count() == 1
    else:
        assert message in page.locator("[role=alert]").inner_text()


def test_nothing_handed_in_is_told_what_to_hand_in(service: Any, browse: Callable[..., Any]) -> None:
    page = browse(scripts=False, target=f"/changes/{service.changes['broken']}/revisions/1/sign").page
    _prepare(page, "REJECTED")
    page.get_by_role("button", name="Sign off").click()
    assert "Hand in a signature" in page.locator("[role=alert]").inner_text()


def test_a_viewed_mark_can_be_taken_back(service: Any, browse: Callable[..., Any]) -> None:
    page = browse(scripts=False, target=f"/changes/{service.changes['lift']}/revisions/1/files").page
    page.get_by_role("button", name=re.compile("Viewed, next")).first.click()
    assert "1 of 2 files viewed" in page.locator(".file-list").inner_text()
    assert page.locator(".file.is-viewed table.diff").is_hidden()
    page.get_by_role("button", name=re.compile("Take back")).click()
    assert "0 of 2 files viewed" in page.locator(".file-list").inner_text()
