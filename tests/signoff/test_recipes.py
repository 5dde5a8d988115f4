# SPDX-License-Identifier: Apache-2.0
"""Builds under a signed recipe: what is admitted, and at which step everything else is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from recipes import LANE, SMALL, STILL, Lane, cell, forged, measured, other_lane, still_recipe

from confine import Repository
from evidence import InputError, Severity, canonical, digest, sha256_hex
from signoff import (
    BuildPlace,
    Decision,
    EmergencyTimes,
    Reviewer,
    RevocationList,
    Revoked,
    RevokedKind,
    Vote,
    build_break_glass,
    build_countersignature,
    build_emergency,
    build_measures,
    build_revocations,
    build_stop,
    key_leaf,
    outside,
    read_measures,
    read_recipe,
    read_revocations,
    read_stop,
    revocations_leaf,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from world import World

    from signoff import GateResult

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def lane(world: World) -> Lane:
    return Lane(world).enrol()


def refused(result: GateResult) -> tuple[int, str]:
    assert not result.admitted
    assert result.refused is not None
    return result.refused.number, result.refused.detail


def test_a_build_within_its_recipe_is_admitted(world: World, lane: Lane) -> None:
    lane.write()
    result = world.gate()
    assert result.admitted, result.refused
    assert result.revision == world.revision.digest != lane.anchor.digest
    build = result.to_json()["build"]
    assert (build["lane"], build["number"]) == (LANE, 1)
    assert build["measured"] == {
        "verdict": "pass",
        "cells": 2,
        "lowest": 990,
        "highest": 1020,
        "findings": 1,
        "severity": "low",
    }
    assert [one.person.id for one in result.signed] == ["rita"]


def test_with_witnesses_and_an_ordinary_bundle_of_the_same_sign_off(world: World, lane: Lane) -> None:
    world.witnessed()
    recipe = lane.recipe()
    approval = lane.approve(recipe)
    world.write([approval])
    assert world.gate().admitted  # the sign-off lets its own revision through as any other
    lane.write(recipe=recipe, signoffs=[approval])
    assert world.gate().admitted, world.gate().refused


def test_code_that_changed_with_the_artifact_is_refused(world: World, lane: Lane) -> None:
    lane.write(revision=lane.change({SMALL: b"another", "rank.py": b"WEIGHT = 9.0\n"}))
    assert refused(world.gate()) == (5, "the build changes more than the artifacts that its recipe allows")


@pytest.mark.parametrize("how", ["executable", "link", "gone"])
def test_an_artifact_that_is_no_plain_file_any_more_is_refused(world: World, lane: Lane, how: str) -> None:
    path = world.repository / SMALL

    def otherwise() -> None:
        if how == "executable":
            path.chmod(0o755)
        else:
            path.unlink()
        if how == "link":
            path.symlink_to("../rank.py")

    lane.write(revision=lane.change(before=otherwise))
    number, words = refused(world.gate())
    assert (number, "no plain file" in words or "was signed and not given" in words) == (5, True)


BEYOND: dict[str, tuple[dict[str, Any], str]] = {
    "a verdict of fail": ({"audit": {"verdict": "fail"}}, "verdict is fail"),
    "an inconclusive audit": ({"audit": {"verdict": "inconclusive"}}, "verdict is inconclusive"),
    "a ratio above": ({"audit": {"cells": [cell(1.0501), cell(1.0)]}}, "1 of 2 primary cells"),
    "a ratio below": ({"audit": {"cells": [cell(0.9523)]}}, "1 of 1 primary cells"),
    "a ratio that is none": ({"audit": {"cells": [cell(None)]}}, "1 of 1 primary cells"),
    "no cells": ({"audit": {"cells": []}}, "no primary cell"),
    "only secondary cells": ({"audit": {"cells": [cell(1.0, "secondary")]}}, "no primary cell"),
    "no sandbox": ({"audit": {"unsafe": True}}, "sandbox"),
    "another panel": ({"audit": {"panel": {"digest": digest(b"another")}}}, "another panel"),
    "a finding of the diff": ({"diff": {"findings": [{"severity": "medium"}]}}, "severity medium, above low"),
    "a finding of the audit": ({"audit": {"findings": [{"severity": "critical"}]}}, "severity critical"),
    "something not analysed": ({"diff": {"verdict": "inconclusive"}}, "not analysed"),
}


@pytest.mark.parametrize("name", BEYOND)
def test_what_is_beyond_a_bound_is_not_signed(name: str) -> None:
    changes, words = BEYOND[name]
    recipe, beyond = read_recipe(still_recipe()), measured(STILL, STILL, **changes)
    assert outside(recipe, measured(STILL, STILL)) is None
    assert words in (outside(recipe, beyond) or "")
    with pytest.raises(InputError, match="outside of the recipe's bounds"):
        build_countersignature(
            STILL,
            recipe=recipe,
            measures=beyond,
            place=BuildPlace(1, None),
            policy="0" * 64,
            signed_at=NOW,
        )


def test_a_lane_that_signs_beyond_the_bounds_all_the_same_is_refused(world: World, lane: Lane) -> None:
    recipe, wide = lane.recipe(), replace(lane, ratio=2000).recipe()
    revision = lane.change()
    beyond = lane.measures(revision, audit={"cells": [cell(1.4)]})
    document = lane.statement(revision, wide, beyond)
    document["predicate"]["recipe"] = {"sha256": recipe.digest[7:]}
    approval = lane.approve(recipe)
    world.needed.clear()
    world.log_needed(approval.envelope)
    world.revision = revision
    build = lane.log_build(lane.seal(document), recipe, beyond)
    lane.assemble(build, [approval])
    assert refused(world.gate()) == (
        5,
        "the build is outside of the recipe's bounds: 1 of 1 primary cells beyond the recipe's ratio",
    )


def test_bounds_edited_after_the_signing_are_refused(world: World, lane: Lane) -> None:
    recipe, wide = lane.recipe(), replace(lane, ratio=2000).recipe()
    lane.write(recipe=wide, signoffs=[lane.approve(recipe)])
    assert refused(world.gate()) == (5, "rita approves the revision, and did not sign this recipe for builds of it")


def test_everybody_who_approves_signs_the_recipe(world: World, lane: Lane) -> None:
    world.policy_text = world.policy_text.replace("people = 1  ", "people = 2  ", 1)
    recipe = lane.recipe()
    alone = [lane.approve(recipe), lane.approve(None, 2, "rolf")]
    lane.write(recipe=recipe, signoffs=alone)
    assert refused(world.gate()) == (5, "rolf approves the revision, and did not sign this recipe for builds of it")


def test_the_policy_counts_those_who_signed_the_recipe(world: World, lane: Lane) -> None:
    world.policy_text = world.policy_text.replace("people = 1  ", "people = 2  ", 1)
    recipe = lane.recipe()
    both = [lane.approve(recipe), lane.approve(recipe, 2, "rolf")]
    revision = lane.change()
    lane.write(recipe=recipe, signoffs=both[:1], revision=revision)
    number, words = refused(world.gate())
    assert (number, "1 of 2 approvals" in words) == (10, True)
    lane.write(recipe=recipe, signoffs=both, revision=revision)
    assert world.gate().admitted


def test_a_rejection_of_the_recipes_revision_counts(world: World, lane: Lane) -> None:
    recipe = lane.recipe()
    against = lane.approve(None, 2, "rolf", vote=Vote(Decision.REJECTED, "No."))
    lane.write(recipe=recipe, signoffs=[lane.approve(recipe), against])
    assert refused(world.gate())[0] == 10


def test_who_makes_a_build_does_not_sign_its_recipe(world: World, lane: Lane) -> None:
    world.people[0]["emails"] = ["carl@platform.example"]
    lane.write()
    number, words = refused(world.gate())
    assert (number, "made themselves" in words) == (10, True)


@pytest.mark.parametrize("named", [("Rita", ""), ("R. at work", "Rita+cluster@review.example"), ("cluster-rita", "")])
def test_who_launched_a_build_or_supplied_its_artifacts_does_not_sign_its_recipe(
    world: World, lane: Lane, named: tuple[str, str]
) -> None:
    """The commits name Carl; who else had a hand in it stands in the measures, by account or by address."""
    world.people[0]["accounts"] = ["cluster-rita"]
    revision = lane.change()
    lane.write(revision=revision, measures=lane.measures(revision, people=[("Carl", "c@x.example"), named]))
    number, words = refused(world.gate())
    assert (number, words.split(";")[0]) == (10, "independence: rita approves a change that they made themselves")
    assert world.verified() == (10, 10)


@pytest.mark.parametrize(("maker", "step"), [("rita", 10), ("Carl", None)])
def test_without_a_policy_nobody_vouches_for_their_own_work_either(
    world: World, lane: Lane, maker: str, step: int | None
) -> None:
    revision = lane.change()
    lane.write(revision=revision, measures=lane.measures(revision, people=[(maker, "")]))
    refused_by = verify(world.bundle, world.roots, NOW).refused
    assert (None if refused_by is None else refused_by.number) == step


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda one: one.pop("people"), "who had a hand in it is not known"),
        (lambda one: one.pop("artifacts"), "what changed inside the artifacts is not known"),
        (lambda one: one["artifacts"].update(verdict="fail"), "what changed inside the artifacts: fail"),
        (lambda one: one.update(severity="high"), "a finding of severity high, above low"),
    ],
)
def test_a_build_of_unknown_hands_or_content_is_outside(
    lane: Lane, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    held = lane.measures(lane.change()).document
    change(held)
    assert outside(lane.recipe(), read_measures(held)) == words


def test_findings_inside_the_artifacts_are_findings_of_the_build(lane: Lane) -> None:
    found = lane.measures(lane.change(), artifacts={"findings": [{"severity": "critical"}]})
    assert (found.findings, found.severity) == (2, Severity.CRITICAL)


def test_a_path_that_the_policy_wants_two_people_for_does_so_for_builds(world: World, lane: Lane) -> None:
    lanes = '\n[[lanes]]\nname = "critical"\nwhen = "touches(\'models/**\')"\npeople = 2\norganizations = 2\n'
    world.policy_text += lanes + '\n[[lanes]]\nname = "routine"\nwhen = "only(\'**\')"\npeople = 1\norganizations = 1\n'
    lane.write()
    number, words = refused(world.gate())
    assert (number, "lane: critical" in words) == (10, True)


FORGED: dict[str, tuple[Callable[[dict[str, Any]], object], int, str]] = {
    "another lane": (lambda one: one.update(lane="daily"), 2, "in the name of"),
    "another recipe": (lambda one: one.update(recipe={"sha256": "0" * 64}), 5, "another recipe"),
    "another policy": (lambda one: one.update(policy={"sha256": "0" * 64}), 4, "another policy"),
    "a build too many": (
        lambda one: one.update(
            number=4, previous={"statement": {"sha256": "0" * 64}, "signedAt": "2026-11-24T11:00:00Z"}
        ),
        5,
        "build 4 of the 3",
    ),
    "a first build with one before": (
        lambda one: one.update(previous={"statement": {"sha256": "0" * 64}, "signedAt": "2026-11-24T11:00:00Z"}),
        2,
        "each build but the first",
    ),
    "before the one before": (
        lambda one: one.update(
            number=2, previous={"statement": {"sha256": "0" * 64}, "signedAt": "2026-11-24T11:40:00Z"}
        ),
        2,
        "before the build before it",
    ),
    "better figures": (lambda one: one["measured"].update(highest=1000), 5, "something else of its measures"),
    "other evidence": (lambda one: one["evidence"][0]["digest"].update(sha256="0" * 64), 5, "other evidence"),
    "another target": (lambda one: one["change"].update(targetRef="refs/heads/other"), 5, "target"),
    "another head": (lambda one: one["change"].update(headTree="0" * 40), 5, "another change"),
    "from the future": (lambda one: one.update(signedAt="2026-11-24T12:06:00Z"), 8, "in the future"),
    "after a pause": (
        lambda one: one.update(signedAt="2026-11-24T12:00:01Z"),
        8,
        "lay still for longer than 2 h",
    ),
    "before the recipe": (lambda one: one.update(signedAt="2026-11-24T09:54:59Z"), 6, "not logged before the build"),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_a_lanes_key_says_otherwise_is_refused_at_its_step(world: World, lane: Lane, name: str) -> None:
    change, step, words = FORGED[name]
    lane.write(forge=lambda document: change(document["predicate"]))
    number, said = refused(world.gate())
    assert number == step, said
    assert words in said


def test_a_build_is_not_signed_by_a_person_the_service_or_another_lane(world: World, lane: Lane) -> None:
    recipe, revision = lane.recipe(), lane.change()
    lane.write(seed=1, recipe=recipe, revision=revision)
    assert refused(world.gate())[0] == 2
    lane.write(seed=200, recipe=recipe, revision=revision)
    assert refused(world.gate())[0] == 2
    daily = other_lane(lane)
    daily.write(recipe=recipe, revision=revision)
    assert refused(world.gate()) == (2, "signed by the key of the lane daily, in the name of 'hourly'")
    daily.write(recipe=recipe, revision=revision, forge=lambda one: one["predicate"].update(lane="daily"))
    number, words = refused(world.gate())
    assert (number, "is not the one that the recipe names" in words) == (2, True)


def test_a_recipe_of_other_code_than_people_signed_is_refused(world: World, lane: Lane) -> None:
    revision = lane.change({SMALL: b"another model", "rank.py": b"WEIGHT = 9.0\n"})
    with Repository.open(world.repository) as repository:
        code = repository.content_digest(revision.head.commit, without={SMALL})
    lane.write(recipe=lane.recipe(code=code), revision=revision)
    assert refused(world.gate()) == (5, "the code that the recipe names is not that of the revision that people signed")


def test_code_is_no_artifact_whatever_a_recipe_calls_it(world: World, lane: Lane) -> None:
    revision = lane.change({SMALL: b"another model", "rank.py": b"WEIGHT = 9.0\n"})
    lane.write(recipe=lane.recipe({"small": "rank.py"}), revision=revision)
    number, words = refused(world.gate())
    assert number == 5
    assert "countersign.toml" in words or "changes more than the artifacts" in words
    revision = lane.change({"rank.py": b"WEIGHT = 10.0\n"})
    kept = {one.name: one for one in lane.anchor.artifacts}
    revision = replace(revision, artifacts=tuple(kept.values()))
    lane.write(recipe=lane.recipe({"small": "rank.py"}), revision=revision)
    assert refused(world.gate())[0] == 5


def test_without_witnesses_by_name_an_ended_key_is_refused_as_without_a_quorum(world: World, lane: Lane) -> None:
    world.quorum = "quorum none\n"
    lane.write()
    assert world.gate().admitted
    world.lanes[0]["keys"][0]["valid_until"] = "2026-11-24T11:45:00Z"
    world.write_roots()
    assert refused(world.gate()) == (2, f"the key {lane.key.public.fingerprint} of the lane hourly does not count now")


def test_a_lane_without_a_key_in_the_roots_or_with_an_ended_one_is_refused(world: World, lane: Lane) -> None:
    lane.write()
    world.lanes[0]["keys"][0]["valid_until"] = "2026-11-24T11:45:00Z"
    world.write_roots()
    assert refused(world.gate()) == (2, f"the key {lane.key.public.fingerprint} of the lane hourly does not count now")
    world.lanes.clear()
    world.write_roots()
    assert refused(world.gate())[0] == 2


def test_a_lanes_key_signs_no_sign_off_and_no_revocation_list(world: World, lane: Lane) -> None:
    envelope = lane.seal(world.statement())
    named = str(key_leaf(lane.key.public)["digest"])
    world.write([world.log_signoff(envelope)])
    world.log_piece("key", named, NOW)
    assert refused(world.gate()) == (
        2,
        "signature: made by the key of the lane hourly, which is good for builds and nothing else",
    )
    listed = lane.seal(build_revocations("countersign.example", 7, world.issued, []))
    world.write()
    world.edit(lambda bundle: bundle["revocations"].update(envelope=listed.to_json()))
    assert refused(world.gate())[1].endswith("good for builds and nothing else")


def test_a_lanes_key_breaks_no_glass(world: World, lane: Lane) -> None:
    world.write()
    emergency = build_emergency(
        revision=world.revision,
        target_ref="refs/heads/main",
        reason="The feed shows an attack on a hospital.",
        approver=Reviewer(id="rita", name="Rita", organization="Rita Review", role="break-glass"),
        people=[],
        policy=f"sha256:{sha256_hex(world.policy.read_bytes())}",
        times=EmergencyTimes("nonce-0123456789", NOW, NOW + timedelta(hours=1), NOW + timedelta(days=1)),
    )
    path = world.folder / "glass.json"
    path.write_bytes(build_break_glass(world.revision, [lane.seal(emergency)]))
    broken = world.gate(break_glass=path).break_glass
    assert broken is not None
    assert (broken.admits, "good for builds and nothing else" in broken.detail) == (False, True)


def test_the_build_statement_is_no_sign_off_even_by_a_persons_key(world: World, lane: Lane) -> None:
    revision, recipe = lane.change(), lane.recipe()
    document = lane.statement(revision, recipe, lane.measures(revision))
    lane.write(recipe=recipe, revision=revision)
    world.edit(lambda bundle: bundle["signoffs"][0].update(envelope=world.seal(document).to_json()))
    assert refused(world.gate())[0] == 2


def test_one_key_is_not_a_lanes_and_somebodys(world: World, lane: Lane) -> None:
    lane.write()
    world.people[1]["keys"].append(world.key_entry(lane.key.public.line))
    world.write_roots()
    assert "one key in two places" in refused(world.gate())[1]
    world.people[1]["keys"].pop()
    world.lanes.append(world.lanes[0])
    world.write_roots()
    assert "two lanes with the id hourly" in refused(world.gate())[1]


def test_a_recipe_ends(world: World, lane: Lane) -> None:
    lane.days = 1
    lane.write()
    late = NOW + timedelta(hours=23)
    assert refused(world.gate(late)) == (8, "the recipe counts from 2026-11-24 until 2026-11-25 10:00 UTC")
    assert world.gate(late, rollback=True).admitted


def test_a_revoked_recipe_lets_nothing_through_not_even_in_a_rollback(world: World, lane: Lane) -> None:
    recipe = lane.recipe()
    world.revoked = [Revoked(RevokedKind.RECIPE, recipe.digest[7:], NOW - timedelta(hours=1), "The panel leaked.")]
    lane.write(recipe=recipe)
    for rollback in (False, True):
        number, words = refused(world.gate(rollback=rollback))
        assert (number, words.startswith("the recipe is revoked")) == (9, True)


@pytest.mark.parametrize("kind", ["build", "anchor", "statement", "key"])
def test_what_a_build_rests_on_is_revoked(world: World, lane: Lane, kind: str) -> None:
    recipe = lane.recipe()
    approval = lane.approve(recipe)
    build = lane.write(recipe=recipe, signoffs=[approval])
    named = {
        "build": (RevokedKind.REVISION, world.revision.digest[7:]),
        "anchor": (RevokedKind.REVISION, lane.anchor.digest[7:]),
        "statement": (RevokedKind.STATEMENT, sha256_hex(build.envelope.payload)),
        "key": (RevokedKind.KEY, str(key_leaf(lane.key.public)["digest"])[7:]),
    }[kind]
    world.revoked = [Revoked(*named, NOW - timedelta(hours=1), "Lost.")]
    lane.assemble(build, [approval])
    assert refused(world.gate())[0] == 9


def test_after_a_stop_earlier_builds_count_and_later_ones_do_not(world: World, lane: Lane) -> None:
    recipe = lane.recipe()
    approval = lane.approve(recipe)
    first = lane.write(recipe=recipe, signoffs=[approval])
    stopped = world.log.size
    world.append(
        {"type": "lane-stopped", "envelope": world.service.sign(canonical(stop(recipe))).to_json()},
        NOW - timedelta(minutes=15),
    )
    world.revoked = [
        Revoked(RevokedKind.RECIPE, recipe.digest[7:], NOW - timedelta(minutes=15), "Beyond its ratio.", stopped)
    ]
    lane.assemble(first, [approval])
    assert world.gate().admitted
    place = BuildPlace(2, (f"sha256:{sha256_hex(first.envelope.payload)}", NOW - timedelta(minutes=30)))
    lane.write(recipe=recipe, signoffs=[approval], revision=lane.change({SMALL: b"a third"}), place=place)
    number, words = refused(world.gate())
    assert (number, f"had stopped before this build, at log entry {stopped}" in words) == (9, True)


def test_a_revocation_list_of_before_the_build_is_refused(world: World, lane: Lane) -> None:
    early = world.revocations()
    lane.write()
    bundle = json.loads(world.bundle.read_bytes())
    proof = world.log.proof(early.proof.index)
    bundle["revocations"] = {"envelope": early.envelope.to_json(), "proof": proof.text}
    world.bundle.write_bytes(canonical(bundle))
    number, words = refused(world.gate())
    assert (number, "the revocation list was logged before the build" in words) == (6, True), words


def test_a_build_that_was_logged_before_its_recipe_is_refused(world: World, lane: Lane) -> None:
    recipe, revision = lane.recipe(), lane.change()
    world.needed.clear()
    world.revision = revision
    measures = lane.measures(revision)
    build = lane.log_build(lane.seal(lane.statement(revision, recipe, measures)), recipe, measures)
    approval = lane.approve(recipe)
    lane.assemble(build, [approval])
    assert refused(world.gate()) == (6, "the recipe that rita signed was not logged before the build")


def test_a_build_of_another_base_or_artifact_is_refused(world: World, lane: Lane) -> None:
    revision = lane.change()
    measures = lane.measures(revision, audit={"base": {"digest": digest(b"the build before")}})
    lane.write(revision=revision, measures=measures)
    assert refused(world.gate()) == (5, "the build was held against something else than the revision that was signed")
    lane.write(revision=replace(revision, base=replace(revision.base, tree="0" * 40)))
    assert refused(world.gate())[0] == 5
    model = replace(revision.artifacts[0], sha256="0" * 64)
    lane.write(revision=replace(revision, artifacts=(model, revision.artifacts[1])))
    assert refused(world.gate()) == (5, "the build changes artifact 'model', which the recipe does not allow")
    lane.write(revision=replace(revision, artifacts=revision.artifacts[1:]))
    assert refused(world.gate())[0] == 5


def test_measures_that_were_swapped_are_refused(world: World, lane: Lane) -> None:
    lane.write()
    document = json.loads(world.bundle.read_bytes())
    better = {"ratio": 1000, "verdict": "equivalent"}
    document["build"]["measures"]["cells"] = [better, better]
    world.bundle.write_bytes(canonical(document))
    assert refused(world.gate())[0] == 5


DATA = "models/data.json"


@pytest.fixture
def fed(world: World) -> Lane:
    """A lane whose recipe bounds the rows of each build's data, under a contract in the code."""
    lane = Lane(world, bounds=(("rows", 900, 1100),), summary=DATA).enrol()
    lane.contract = ("rank.py", sha256_hex(b"WEIGHT = 1.5\n"))
    return lane


def data_recipe(lane: Lane) -> Any:
    return lane.recipe({"data": DATA, "small": SMALL})


@pytest.mark.parametrize(
    ("rows", "claimed", "step"), [(b"1000", 1000, None), (b"5000", 1000, 5), (b'"1000"', 1000, 5), (b"1000.5", 1000, 5)]
)
def test_the_gate_reads_a_builds_summary_of_its_data_itself(
    world: World, fed: Lane, rows: bytes, claimed: int, step: int | None
) -> None:
    recipe = data_recipe(fed)
    revision = fed.change({SMALL: b"another", DATA: b'{"rows": ' + rows + b', "other": "x"}'})
    fed.write(recipe=recipe, revision=revision, measures=fed.measures(revision, {"rows": claimed}))
    result = world.gate()
    assert result.admitted is (step is None)
    if step is not None:
        assert refused(result) == (5, "the build's summary of its data says something else than was measured")


def test_another_data_contract_is_refused(world: World, fed: Lane) -> None:
    fed.contract = ("rank.py", "0" * 64)
    recipe = data_recipe(fed)
    revision = fed.change({SMALL: b"another", DATA: b'{"rows": 1000}'})
    fed.write(recipe=recipe, revision=revision, measures=fed.measures(revision, {"rows": 1000}))
    assert refused(world.gate()) == (5, "the data contract is not the one that the recipe names")


@pytest.mark.parametrize("data", [None, {"rows": 899}, {"rows": 1101}, {"other": 1000}])
def test_data_beyond_its_bounds_is_outside(data: dict[str, int] | None) -> None:
    recipe = read_recipe(still_recipe(artifacts={"data": DATA}, summary=DATA, bounds=(("rows", 900, 1100),)))
    assert outside(recipe, measured(STILL, STILL, {"rows": 900})) is None
    assert "the data's rows is" in (outside(recipe, measured(STILL, STILL, data)) or "")


EDITS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "the manifest": (lambda one: one["artifacts"][0].update(path="countersign.toml"), "countersign.toml"),
    "upwards": (lambda one: one["artifacts"][0].update(path="../x"), "no path"),
    "absolute": (lambda one: one["artifacts"][0].update(path="/x"), "no path"),
    "another spelling": (lambda one: one["artifacts"][0].update(path="models//small.bin"), "no path"),
    "a letter that turns": (lambda one: one["artifacts"][0].update(path="models/\u202ex"), "no path"),
    "no artifact": (lambda one: one.update(artifacts=[]), "artifacts"),
    "one twice": (lambda one: one["artifacts"].append(one["artifacts"][0]), "twice"),
    "one path twice": (
        lambda one: one["artifacts"].append({"name": "z", "path": one["artifacts"][0]["path"]}),
        "two artifacts at one path",
    ),
    "a ratio below one": (lambda one: one.update(ratio=999), "ratio"),
    "a ratio of ten": (lambda one: one.update(ratio=10_001), "ratio"),
    "no builds": (lambda one: one.update(builds=0), "builds"),
    "bounds on nothing": (
        lambda one: one["data"].update(bounds=[{"name": "rows", "least": 1, "most": 2}]),
        "no summary",
    ),
    "a summary elsewhere": (lambda one: one["data"].update(summary="rank.py"), "not among the artifacts"),
    "half a contract": (lambda one: one["data"].update(path="rank.py"), "path and a digest"),
    "over a year": (lambda one: one.update(expires_at="2028-01-01T00:00:00Z"), "366 days"),
    "backwards": (lambda one: one.update(expires_at="2026-01-01T00:00:00Z"), "366 days"),
    "unknown": (lambda one: one.update(force=True), "force"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_recipe_that_is_none_is_not_read(name: str) -> None:
    change, words = EDITS[name]
    document = still_recipe()
    change(document)
    with pytest.raises(InputError, match=words):
        read_recipe(document)


def test_a_recipe_is_signed_plainly_and_in_so_many_words(lane: Lane) -> None:
    recipe = lane.recipe()
    for vote in (
        Vote(Decision.APPROVED, "", scope=("code",)),
        Vote(Decision.REJECTED, "", scope=("code", "builds")),
        Vote(Decision.APPROVED_WITH_CONDITIONS, "", scope=("code", "builds"), conditions=("Watch it.",)),
    ):
        with pytest.raises(InputError, match="recipe"):
            lane.approve(recipe, vote=vote)
    with pytest.raises(InputError, match="recipe"):
        lane.approve(None, vote=Vote(Decision.APPROVED, "", scope=("code", "builds")))


def test_ratios_are_rounded_away_from_one_and_told_without_their_order() -> None:
    cells = [cell(1.0001), cell(0.9999), cell(1.0), cell(None), cell(float(10**14))]
    cells.append({**cell(None), "base_share": 0, "head_share": 0})
    found = measured(STILL, STILL, audit={"cells": cells})
    assert [one.ratio for one in found.cells] == [None, None, 999, 1000, 1000, 1001]
    assert found.ratios == (None, None)
    with pytest.raises(InputError, match="not in order"):
        forged(found, cells=list(reversed(found.document["cells"])))
    with pytest.raises(InputError, match="not that of an audit"):
        build_measures(STILL, audit=(digest(b"x"), {"verdict": "pass"}), diff=(digest(b"y"), {}), **NOTHING)
    assert read_measures(found.document) == found


NOTHING: dict[str, Any] = {"artifacts": (digest(b"z"), {"verdict": "pass", "findings": []}), "people": [("Ada", "")]}


def stop(recipe: Any) -> dict[str, Any]:
    return build_stop(recipe, service="countersign.example", revision=None, reason="Beyond its ratio.", stopped_at=NOW)


def test_a_stop_is_read_as_it_is_written(lane: Lane) -> None:
    document = stop(lane.recipe())
    assert read_stop(canonical(document)).predicate.lane == LANE
    document["predicate"]["lane"] = ""
    with pytest.raises(InputError, match="lane"):
        read_stop(canonical(document))


def test_only_a_recipe_is_revoked_from_a_log_entry_on() -> None:
    entry = Revoked(RevokedKind.RECIPE, "0" * 64, NOW, "Stopped.", 7)
    document = build_revocations("service", 1, NOW, [entry])
    assert read_revocations(canonical(document)).revoked == (entry,)
    with pytest.raises(InputError, match="goes with a recipe"):
        build_revocations("service", 1, NOW, [replace(entry, kind=RevokedKind.KEY)])


def test_a_recipe_signed_anew_is_another_one(lane: Lane) -> None:
    assert lane.recipe().digest != lane.recipe(nonce="recipe-9876543210").digest
    with pytest.raises(InputError, match="nonce"):
        lane.recipe(nonce="")


def test_a_list_is_logged_as_any_other(world: World, lane: Lane) -> None:
    """The world's own list stands behind the build in the log, so that a stop before the build would be in it."""
    build = lane.write()
    listed = json.loads(world.bundle.read_bytes())["revocations"]
    envelope = world.revocations().envelope
    assert revocations_leaf(envelope)["type"] == "revocations"
    assert isinstance(world.revocations(), RevocationList)
    assert int(listed["proof"].split("index ")[1].split("\n")[0]) > build.proof.index
