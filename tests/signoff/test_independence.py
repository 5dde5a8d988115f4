# SPDX-License-Identifier: Apache-2.0
"""Nobody approves their own work, nor without a declaration of independence that holds, where policy asks for one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evidence import PolicyError
from signoff import Declaration, Reviewer, parse_roots

if TYPE_CHECKING:
    from world import World

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DECLARED: dict[str, Any] = {
    "platform": "platform.example",
    "organization": "Rita Review",
    "text": "I had no part in making changes of this platform.",
    "related_services_ended": "2025-11-01",
    "no_related_services_until": "2028-01-01",
    "reviewing_since": "2020-01-01",
    "contingent_fees": False,
    "signed_at": "2026-01-01T00:00:00Z",
    "expires_at": "2026-12-31T00:00:00Z",
}
ASKED = "[independence]\ndeclarations = true\n"


def conflict(**changes: Any) -> str | None:
    return Declaration.model_validate({**DECLARED, **changes}).conflict("Rita Review", NOW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"related_services_ended": None}, None),
        ({"related_services_ended": "2025-11-24"}, "within twelve months"),
        ({"related_services_ended": "2025-11-23"}, None),
        ({"related_services_ended": "2027-01-01"}, "within twelve months"),
        ({"no_related_services_until": "2027-11-24"}, "not for twelve months"),
        ({"no_related_services_until": "2027-11-25"}, None),
        ({"reviewing_since": "2016-11-25"}, None),
        ({"reviewing_since": "2016-11-24"}, "10 years in a row"),
        ({"contingent_fees": True}, "fees"),
        ({"organization": "Another"}, "it is for Another"),
        ({"expires_at": "2026-11-24T12:00:00Z"}, "expired"),
        ({"signed_at": "2026-11-24T12:00:01Z"}, "not signed yet"),
    ],
)
def test_a_declaration_holds_within_the_limits_of_the_law(changes: dict[str, Any], reason: str | None) -> None:
    found = conflict(**changes)
    assert (found is None) if reason is None else (reason in str(found))


@pytest.mark.parametrize(
    "changes",
    [
        {"reviewing_since": "2020-02-30"},
        {"expires_at": "2026-01-01T00:00:00Z"},
        {"contingent_fees": "no"},
        {"extra": 1},
        {"no_related_services_until": None},
    ],
)
def test_roots_with_a_declaration_that_is_none_are_refused(world: World, changes: dict[str, Any]) -> None:
    world.people[0]["independence"] = {**DECLARED, **changes}
    world.write_roots()
    with pytest.raises(PolicyError):
        parse_roots(world.roots.read_bytes())


def test_the_gate_asks_for_the_declaration_that_was_signed(world: World) -> None:
    world.policy_text += ASKED
    declared = {key: value for key, value in DECLARED.items() if value is not None}
    digest = Declaration.model_validate(declared).digest_for("rita")
    world.write()
    assert _unmet(world) == "declarations: rita: there is none in the roots"
    world.people[0]["independence"] = declared
    world.write()
    assert _unmet(world) == "declarations: rita: the statement names another"
    world.write([world.sign(declaration=digest)])
    assert world.gate().admitted
    world.people[0]["independence"] = {**declared, "contingent_fees": True}
    world.write_roots()
    assert _unmet(world) == "declarations: rita: the statement names another"
    changed = Declaration.model_validate(world.people[0]["independence"]).digest_for("rita")
    world.write([world.sign(declaration=changed)])
    assert _unmet(world) == "declarations: rita: it declares fees that depend on the outcome"


def test_a_declaration_that_ends_ends_the_approval(world: World) -> None:
    world.policy_text += ASKED
    world.people[0]["independence"] = {**DECLARED, "expires_at": "2026-11-25T00:00:00Z"}
    digest = Declaration.model_validate(world.people[0]["independence"]).digest_for("rita")
    world.write([world.sign(declaration=digest)])
    assert world.gate().admitted
    refused = world.gate(NOW + timedelta(days=1)).refused
    assert refused is not None
    assert "expired" in refused.detail


@pytest.mark.parametrize("account", ["rita", "RITA", "rita-on-git"])
def test_who_pushed_or_proposed_by_a_name_alone_approves_nothing(world: World, account: str) -> None:
    """A code host tells the pusher's account and no address."""
    world.people[0]["accounts"] = ["Rita-on-Git"]
    facts = world.facts(people=[("Ada Author", "ada@platform.example"), (account, "")])
    world.write([world.sign(facts=facts)], [facts])
    assert _unmet(world).startswith("independence: rita approves a change that they made themselves")
    other = world.facts(people=[("Ada Author", "ada@platform.example"), ("somebody", "")])
    world.write([world.sign(facts=other)], [other])
    assert world.gate().admitted


@pytest.mark.parametrize("role", ["submitter", "auditor", "regulator", "administrator"])
def test_a_role_that_reads_signs_nothing(world: World, role: str) -> None:
    world.people[0]["roles"] = [role]
    world.policy_text = world.policy_text.replace('roles = ["reviewer"]', f'roles = ["{role}"]')
    reviewer = Reviewer(id="rita", name="Rita", organization="Rita Review", role=role)
    world.write([world.sign(reviewer=reviewer)])
    refused = world.gate().refused
    assert refused is not None
    assert (refused.name, "only reads" in refused.detail) == ("signatures", True)


def _unmet(world: World) -> str:
    refused = world.gate().refused
    assert refused is not None
    assert refused.name == "requirements", refused
    return refused.detail
