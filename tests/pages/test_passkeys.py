# SPDX-License-Identifier: Apache-2.0
"""A reviewer adds a passkey and signs with it, in Chromium with a virtual authenticator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from service import passkeys

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import CDPSession, Page

pytestmark = [pytest.mark.browser, pytest.mark.loopback, pytest.mark.sandbox, pytest.mark.usefixtures("socket_enabled")]


class Authenticator:
    """A security key that the browser pretends to have."""

    def __init__(self, page: Page, **options: Any) -> None:
        self.session: CDPSession = page.context.new_cdp_session(page)
        self.session.send("WebAuthn.enable")
        kind = {
            "protocol": "ctap2",
            "transport": "usb",
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
            **options,
        }
        added = self.session.send("WebAuthn.addVirtualAuthenticator", {"options": kind})
        self.id: str = added["authenticatorId"]

    def verifies(self, *, owner: bool) -> None:
        self.session.send("WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": owner})


def _add(page: Page) -> None:
    page.get_by_role("link", name="Passkeys").click()
    page.get_by_role("button", name="Add a passkey").click()


def _prepare(page: Page, decision: str) -> None:
    form = page.locator("form.decision").first
    form.locator(f"input[value={decision}]").check()
    form.get_by_role("button", name="Prepare the statement").click()


@pytest.fixture
def page(service: Any, browse: Callable[..., Any]) -> Page:
    target = f"/changes/{service.changes['broken']}/revisions/1/sign"
    opened: Page = browse(scripts=True, domain=True, target=target).page
    return opened


def test_a_passkey_is_added_accepted_and_signs(service: Any, browse: Callable[..., Any]) -> None:
    target = f"/changes/{service.changes['lift']}/revisions/1/sign"
    page: Page = browse(scripts=True, domain=True, target=target).page
    key = Authenticator(page)
    _add(page)
    row = page.locator("table.plain tbody tr")
    row.get_by_text("waits for").wait_for()
    assert "attestation" in row.inner_text()

    page.goto(f"{service.domain}{target}")
    _prepare(page, "REJECTED")
    assert page.get_by_role("button", name="Sign off with a passkey").count() == 0

    context = service.app.state.context
    (waiting,) = passkeys.enrolled(context)
    passkeys.accept(context, waiting.credential_id)
    attestation = context.store.get_json(_row(context, waiting.credential_id).attestation_digest)
    assert attestation["schema"] == "countersign/attestation/v1"
    page.goto(f"{service.domain}/passkeys")
    assert row.get_by_text("counts").count() == 1

    page.goto(f"{service.domain}{target}")
    _prepare(page, "REJECTED")
    key.verifies(owner=False)
    page.get_by_role("button", name="Sign off with a passkey").click()
    page.get_by_text("Nothing was signed or added").wait_for()
    key.verifies(owner=True)
    page.get_by_role("button", name="Sign off with a passkey").click()
    page.locator(".signoffs li").first.wait_for()
    assert page.locator(".signoffs li").first.inner_text().startswith("rejected by")

    index = service.app.state.reviews.log().size - 1
    entry = service.app.state.reviews.log().lines[0]
    assert (entry.index, entry.n) == (index, 1)
    (signed,) = service.app.state.reviews.revision(service.changes["lift"], 1).signoffs
    assert signed.payload_digest == entry.digest

    _prepare(page, "REJECTED")
    page.get_by_role("button", name="Sign off with a passkey").click()
    page.wait_for_url("**/sign#signoffs")
    assert _row(context, waiting.credential_id).counter > 1


def test_a_synced_passkey_is_refused(page: Page) -> None:
    Authenticator(page, transport="internal", defaultBackupEligibility=True, defaultBackupState=True)
    _add(page)
    assert "synced" in page.locator("[role=alert]").inner_text()


def test_without_scripts_nothing_of_passkeys_is_offered(service: Any, browse: Callable[..., Any]) -> None:
    page = browse(scripts=False, domain=True, target="/passkeys").page
    assert page.get_by_role("button", name="Add a passkey").count() == 0
    assert "needs JavaScript" in page.locator("main").inner_text()
    page.goto(f"{service.domain}/changes/{service.changes['broken']}/revisions/1")
    assert page.evaluate("1 + 1") == 2


def test_at_an_address_that_is_no_domain_the_browser_gives_none(browse: Callable[..., Any]) -> None:
    page = browse(scripts=True, target="/passkeys").page
    Authenticator(page)
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_text("Nothing was signed or added").wait_for()


def test_a_page_runs_its_keys_and_what_it_needs_and_none_where_nobody_is_signed_in(
    service: Any, browse: Callable[..., Any]
) -> None:
    opened = browse(scripts=True)
    page = opened.page
    revision = f"/changes/{service.changes['tidy']}/revisions/1"
    keys, passkeys = "/static/keys.js", "/static/passkeys.js"
    for path, scripts in (
        ("/", [keys]),
        (revision, [keys]),
        ("/log", [keys]),
        ("/passkeys", [keys, passkeys]),
        (f"{revision}/sign", [keys, passkeys]),
        (None, []),
    ):
        if path is None:
            opened.context.clear_cookies()
        response = page.goto(f"{service.url}{path or '/words'}")
        assert response is not None
        policy = response.headers["content-security-policy"]
        found = page.locator("script").evaluate_all("all => all.map(one => one.getAttribute('src'))")
        assert ("script-src 'self'" in policy, "require-trusted-types-for" in policy, found) == (
            bool(scripts),
            bool(scripts),
            scripts,
        ), path
        assert "unsafe" not in policy


def _row(context: Any, credential_id: str) -> Any:
    from service.database import PasskeyRow  # noqa: PLC0415 - for this look at the table alone

    with context.database.read() as session:
        return session.get_one(PasskeyRow, credential_id)


@pytest.mark.parametrize("name", ["passkeys.js", "keys.js"])
def test_the_script_is_served_as_one(service: Any, browse: Callable[..., Any], name: str) -> None:
    response = browse().page.goto(f"{service.url}/static/{name}")
    assert "javascript" in response.headers["content-type"]
    assert json.dumps(response.text()).count("innerHTML") == 0
