# SPDX-License-Identifier: Apache-2.0
"""A reviewed change is signed, logged and let through by the gate; what was not signed is not."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from house import NAME, TOKEN, finished, make_key, serve
from sqlalchemy import delete, insert, select, update

from evidence import (
    ConflictError,
    InputError,
    NotFoundError,
    PermissionDeniedError,
    SandboxMissingError,
    VerificationError,
    canonical,
    digest,
)
from service import expiry, ledger, reckoning, signing, trust
from service.cli.witnesses import WitnessServer
from service.database import RevisionRow, SignoffRow, StatementRow
from service.life import State
from service.views import Person
from signoff import (
    DEFAULT_POLICY,
    Cosigner,
    RevokedKind,
    Witness,
    envelope_from_ssh,
    gate,
    open_cosignatures,
    pae,
    read_revocations,
    sign_with_ssh_key,
)

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient

    from service.reviews import Reviews
    from service.views import Prepared

pytestmark = pytest.mark.sandbox

WHO = Person("reviewer", "Reviewer", "independent", "reviewer")


@pytest.fixture
def key(house: Any, client: TestClient) -> Path:
    key = make_key(house.place)
    public = key.with_suffix(".pub").read_text(encoding="ascii")
    trust.enrol_key(client.app.state.context, WHO, public, emails=("r@office.example",))  # type: ignore[attr-defined]
    return key


@pytest.fixture
def reviews(house: Any, client: TestClient) -> Reviews:
    """One change, reviewed: it passes."""
    house.deliver(client, house.pull(house.branch("quiet", {"README": "words\n"})))
    assert finished(client).state is State.READY
    return client.app.state.reviews  # type: ignore[attr-defined, no-any-return]


def signed(reviews: Reviews, key: Path, decision: str = "APPROVED", **words: Any) -> tuple[Prepared, int]:
    prepared = reviews.prepare_statement(1, 1, WHO, decision, **words)
    signature = sign_with_ssh_key(key, prepared.pae)
    return prepared, reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, ssh_signature=signature)


def admitted(house: Any, reviews: Reviews, repository: Path | None = None) -> bool:
    data = house.place / "data"
    bundle = house.place / "bundle.json"
    bundle.write_bytes(reviews.bundle(1, 1))
    mirror = repository or next((data / "mirrors" / "tiny").glob("*.git"))
    return gate(bundle, mirror, {}, data / "policy.toml", data / "roots.json", datetime.now(UTC)).admitted


def test_what_was_signed_is_let_through(house: Any, key: Path, reviews: Reviews) -> None:
    prepared, index = signed(reviews, key)
    view = reviews.revision(1, 1)
    assert (index, view.state) == (6, State.SIGNED)
    assert [line.payload_digest for line in view.signoffs] == [prepared.digest]
    assert all(requirement.state.met for requirement in view.requirements)
    assert admitted(house, reviews)
    kinds = ["trust", "panel", "evidence", "evidence", "evidence", "key", "signoff", "revocations"]
    lines = reviews.log().lines
    assert [line.kind for line in reversed(lines)] == kinds
    assert (lines[1].n, lines[1].digest) == (1, prepared.digest)


def test_a_revoked_sign_off_is_let_through_no_more(house: Any, client: TestClient, key: Path, reviews: Reviews) -> None:
    prepared, _ = signed(reviews, key)
    assert admitted(house, reviews)
    context = client.app.state.context  # type: ignore[attr-defined]
    first = ledger.revocation_list(context)
    assert ledger.revocation_list(context).envelope == first.envelope
    named = prepared.digest.removeprefix("sha256:")
    second = ledger.revoke(context, RevokedKind.STATEMENT, named, "Signed by mistake.", datetime.now(UTC))
    assert read_revocations(second.envelope.payload).number == 1
    assert not admitted(house, reviews)
    with pytest.raises(InputError, match="already"):
        ledger.revoke(context, RevokedKind.STATEMENT, named, "Again.", datetime.now(UTC))


def test_another_commit_is_not_let_through(house: Any, key: Path, reviews: Reviews) -> None:
    signed(reviews, key)
    house.commit({"rank.py": serve(lift=0.8)}, "Not signed")
    assert not admitted(house, reviews, house.repository)


def test_the_prepared_bytes_are_kept_and_signing_them_twice_logs_once(key: Path, reviews: Reviews) -> None:
    prepared, index = signed(reviews, key)
    assert reviews.prepared(1, 1, prepared.nonce) == prepared
    assert digest(prepared.payload) == prepared.digest
    again = envelope_from_ssh(prepared.payload, sign_with_ssh_key(key, prepared.pae))
    assert reviews.sign_off(1, 1, WHO, envelope=canonical(again.to_json())) == index
    assert reviews.log().size == index + 1


def test_a_rejection_counts_and_a_later_approval_replaces_it(house: Any, key: Path, reviews: Reviews) -> None:
    signed(reviews, key, "REJECTED")
    assert reviews.revision(1, 1).state is State.REJECTED
    assert not admitted(house, reviews)
    signed(reviews, key)
    view = reviews.revision(1, 1)
    assert view.state is State.SIGNED
    assert [line.superseded for line in view.signoffs] == [True, False]
    assert admitted(house, reviews)


def test_a_signature_by_another_key_is_refused(house: Any, key: Path, reviews: Reviews) -> None:
    assert key.exists()
    prepared = reviews.prepare_statement(1, 1, WHO, "APPROVED")
    stranger = sign_with_ssh_key(make_key(house.place, "stranger"), prepared.pae)
    with pytest.raises(VerificationError, match="roots"):
        reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, ssh_signature=stranger)
    assert "signoff" not in {line.kind for line in reviews.log().lines}


def test_bytes_that_were_not_prepared_are_refused(key: Path, reviews: Reviews) -> None:
    prepared = reviews.prepare_statement(1, 1, WHO, "REJECTED")
    forged = json.loads(prepared.payload)
    forged["predicate"]["decision"] = "APPROVED"
    payload = canonical(forged)
    envelope = envelope_from_ssh(payload, sign_with_ssh_key(key, pae(payload)))
    with pytest.raises(VerificationError, match="prepared"):
        reviews.sign_off(1, 1, WHO, envelope=canonical(envelope.to_json()))


def test_one_persons_statement_is_not_signed_by_another(house: Any, key: Path, reviews: Reviews) -> None:
    prepared = reviews.prepare_statement(1, 1, WHO, "APPROVED")
    other = replace(WHO, id="other")
    with pytest.raises((VerificationError, PermissionDeniedError)):
        reviews.sign_off(1, 1, other, nonce=prepared.nonce, ssh_signature=sign_with_ssh_key(key, prepared.pae))
    assert (house.place / "data" / "roots.json").exists()


def test_who_is_not_in_the_roots_cannot_prepare(reviews: Reviews) -> None:
    with pytest.raises(PermissionDeniedError, match=r"roots\.json"):
        reviews.prepare_statement(1, 1, WHO, "APPROVED")


def test_an_approval_is_revoked_and_only_by_who_gave_it(house: Any, key: Path, reviews: Reviews) -> None:
    with pytest.raises(ConflictError, match="nothing in revision 1 that could be revoked"):
        reviews.prepare_statement(1, 1, WHO, "REVOKED")
    signed(reviews, key)
    assert admitted(house, reviews)
    signed(reviews, key, "REVOKED", meaning="The audit's panel was wrong.")
    view = reviews.revision(1, 1)
    assert (view.state, [one.superseded for one in view.signoffs]) == (State.REVOKED, [True, False])
    assert not admitted(house, reviews)
    signed(reviews, key)
    assert reviews.revision(1, 1).state is State.SIGNED


def test_sign_offs_run_out(key: Path, reviews: Reviews, client: TestClient) -> None:
    signed(reviews, key)
    context = client.app.state.context  # type: ignore[attr-defined]
    assert expiry.expire(context, datetime.now(UTC) + timedelta(days=89)) == []
    assert expiry.expire(context, datetime.now(UTC) + timedelta(days=91)) != []
    assert reviews.revision(1, 1).state is State.EXPIRED
    signed(reviews, key)
    assert reviews.revision(1, 1).state is State.SIGNED


def test_a_new_revision_outdates_votes_and_shows_what_changed_since(
    house: Any, client: TestClient, key: Path, reviews: Reviews
) -> None:
    signed(reviews, key)
    house.deliver(client, house.pull(house.branch("next", {"README": "other words\n"}), action="synchronize"))
    assert finished(client, n=2).state is State.READY
    assert reviews.revision(1, 1).state is State.SUPERSEDED
    assert (reviews.signed_before(1, 2, WHO), reviews.signed_before(1, 1, WHO)) == (1, None)
    assert [one.state.met for one in reviews.revision(1, 2).requirements if one.name == "approvals"] == [False]
    ((change, patch),) = reviews.patches_since(1, 2, 1)
    assert change.path == "README"
    assert [line.text for hunk in patch.hunks for line in hunk.lines] == ["words", "other words"]
    with pytest.raises(NotFoundError):
        list(reviews.patches_since(1, 2, 2))
    token = client.app.state.accounts.link(WHO.id)  # type: ignore[attr-defined]
    client.get(f"/sign-in?token={token}")
    assert "/changes/1/revisions/2/since/1" in client.get("/changes/1/revisions/2/sign").text
    shown = client.get("/changes/1/revisions/2/since/1").text
    assert ('aria-label="README"' in shown, "Nothing differs" in shown) == (True, False)
    old = client.get("/changes/1/revisions/1/sign").text
    assert (old.count('value="REVOKED"'), old.count('value="APPROVED"')) == (1, 0)
    signed(reviews, key, "REVOKED")
    assert reviews.revision(1, 1).state is State.SUPERSEDED
    assert not admitted(house, reviews)


def test_a_superseded_revision_cannot_be_signed(house: Any, client: TestClient, key: Path, reviews: Reviews) -> None:
    prepared = reviews.prepare_statement(1, 1, WHO, "APPROVED")
    house.deliver(client, house.pull(house.branch("next", {"README": "x\n"}), action="synchronize"))
    with pytest.raises(ConflictError, match="superseded"):
        reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, ssh_signature=sign_with_ssh_key(key, prepared.pae))
    with pytest.raises(ConflictError):
        reviews.prepare_statement(1, 1, WHO, "APPROVED")


def test_a_failing_verdict_needs_every_finding_answered_and_an_override(
    house: Any, client: TestClient, key: Path
) -> None:
    house.deliver(client, house.pull(house.branch("lift", {"rank.py": serve(lift=0.8)})))
    view = finished(client)
    reviews: Reviews = client.app.state.reviews  # type: ignore[attr-defined]
    policy = house.place / "data" / "policy.toml"
    policy.write_text(DEFAULT_POLICY.replace('admit_verdicts = ["pass"]', 'admit_verdicts = ["pass", "fail"]'))
    signed(reviews, key)
    assert reviews.revision(1, 1).state is State.READY
    for finding in view.findings:
        reviews.answer(1, 1, finding["id"], kind="acknowledged", text="Known.", person=WHO)
    signed(reviews, key)
    assert reviews.revision(1, 1).state is State.READY
    signed(reviews, key, override="An experiment that the regulator asked for.")
    assert reviews.revision(1, 1).state is State.SIGNED
    assert admitted(house, reviews)
    first = view.findings[0]["id"]
    reviews.answer(1, 1, first, kind="must-change", text="No.", person=WHO)
    assert reviews.revision(1, 1).answers[first].kind == "must-change"


def test_marks_are_checked(reviews: Reviews) -> None:
    with pytest.raises(NotFoundError):
        reviews.answer(1, 1, f"sha256:{'0' * 64}", kind="acknowledged", text="x", person=WHO)
    with pytest.raises(NotFoundError):
        reviews.mark_viewed(1, 1, "no/such/file", person=WHO, viewed=True)
    reviews.mark_viewed(1, 1, "README", person=WHO, viewed=True)
    assert reviews.revision(1, 1).viewed == {"README"}
    reviews.mark_viewed(1, 1, "README", person=WHO, viewed=False)
    assert reviews.revision(1, 1).viewed == frozenset()
    with pytest.raises(InputError):
        reviews.sign_off(1, 1, WHO)


def test_a_sign_off_that_was_stored_but_not_logged_is_logged_at_the_next_start(
    client: TestClient, key: Path, reviews: Reviews
) -> None:
    """As after a kill between storing and logging, and between logging and noting the index."""
    _, index = signed(reviews, key)
    context = client.app.state.context  # type: ignore[attr-defined]
    with context.database.write() as session:
        session.execute(update(SignoffRow).values(log_index=None))
    signing.finish(context)
    assert reviews.log().size == index + 1
    assert reviews.revision(1, 1).signoffs[0].log_index == index


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"decision": "APPROVED"}, "decision"),
        ({"key": "SHA256:other"}, "key"),
        ({"payload_digest": "sha256:" + "0" * 64}, "bytes"),
    ],
)
def test_a_row_that_waits_to_be_logged_is_checked_again(
    client: TestClient, key: Path, reviews: Reviews, change: dict[str, Any], why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Whoever can write into the database gets nothing into the log that nobody signed."""
    _, index = signed(reviews, key, "REJECTED")
    context = client.app.state.context  # type: ignore[attr-defined]
    with context.database.write() as session:
        session.execute(update(SignoffRow).values(log_index=None, **change))
    signing.finish(context)
    assert reviews.log().size == index + 1
    assert f"the row is not what was signed: {why}" in capsys.readouterr().out
    with context.database.read() as session:
        assert session.scalars(select(SignoffRow.log_index)).all() == [None]


def test_an_envelope_that_nobody_signed_is_not_logged(
    client: TestClient, key: Path, reviews: Reviews, tmp_path: Path
) -> None:
    """A statement is prepared, and a row put into the database with the signature of a key that counts for nothing."""
    context = client.app.state.context  # type: ignore[attr-defined]
    prepared = reviews.prepare_statement(1, 1, WHO, "APPROVED")
    (tmp_path / "other").mkdir()
    forged = envelope_from_ssh(prepared.payload, sign_with_ssh_key(make_key(tmp_path / "other"), prepared.pae))
    with context.database.write() as session:
        revision = session.scalars(select(RevisionRow.id)).one()
        session.add(
            SignoffRow(
                nonce=prepared.nonce, revision_id=revision, person_id=WHO.id, decision="APPROVED", log_index=None,
                key=forged.keyid or "", payload_digest=prepared.digest, at=datetime.now(UTC),
                envelope_digest=context.store.put_json(forged.to_json()),
            )
        )  # fmt: skip
    before = reviews.log().size
    signing.finish(context)
    assert reviews.log().size == before
    assert key.exists()


def test_patches_show_what_changed(reviews: Reviews) -> None:
    ((change, patch),) = reviews.patches(1, 1)
    assert (change.path, change.status) == ("README", "added")
    assert [line.text for hunk in patch.hunks for line in hunk.lines] == ["words"]


@pytest.mark.parametrize("how", ["sender", "submission"])
def test_who_pushed_or_launched_it_does_not_approve_it(house: Any, client: TestClient, key: Path, how: str) -> None:
    """The commits name Pat alone; the code host or the submitter says that the reviewer had a hand in it."""
    head = house.branch("quiet", {"README": "words\n"})
    if how == "sender":
        house.deliver(client, house.pull(head, sender={"login": "Reviewer"}))
    else:
        house.git("update-ref", "refs/heads/quiet", head)
        makers = [{"name": "Rev on the cluster", "email": "r+training@office.example"}]
        body = {"repository": NAME, "base": house.git("rev-parse", "main"), "head": head, "makers": makers}
        sent = client.post("/api/v1/changes", json=body, headers={"Authorization": f"Bearer {TOKEN}"})
        assert sent.status_code == 202, sent.text
    finished(client)
    reviews: Reviews = client.app.state.reviews  # type: ignore[attr-defined]
    signed(reviews, key)
    unmet = [one for one in reviews.revision(1, 1).requirements if not one.state.met]
    assert [(one.name, "made themselves" in one.reason) for one in unmet] == [("independence", True)]
    assert not admitted(house, reviews)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"decision": "APPROVED"}, "decision"),
        ({"log_index": 0}, "place"),
        ({"superseded": True}, "counted otherwise"),
        ({"payload_digest": "sha256:" + "0" * 64}, "bytes"),
        ({"envelope_digest": "sha256:" + "0" * 64}, "envelope"),
        ({"key": "SHA256:another"}, "key"),
        ({"expedited": True}, "haste"),
        ({"log_index": None}, "gone from the database"),
    ],
)
def test_an_edit_of_the_database_is_found_by_the_log(
    client: TestClient, key: Path, reviews: Reviews, change: dict[str, Any], words: str
) -> None:
    signed(reviews, key, "REJECTED")
    context = client.app.state.context  # type: ignore[attr-defined]
    assert reckoning.compare(context) == 1
    with context.database.write() as session:
        row = session.scalars(select(SignoffRow)).one()
        before = {name: getattr(row, name) for name in change}
        session.execute(update(SignoffRow).values(**change))
    with pytest.raises(VerificationError, match=words):
        reckoning.compare(context)
    with context.database.write() as session:
        session.execute(update(SignoffRow).values(**before))
    assert reckoning.compare(context) == 1


def test_a_sign_off_that_was_inserted_and_evidence_that_was_exchanged_are_found(
    client: TestClient, key: Path, reviews: Reviews
) -> None:
    signed(reviews, key, "REJECTED")
    context = client.app.state.context  # type: ignore[attr-defined]
    tables = (StatementRow, SignoffRow)
    with context.database.write() as session:
        for table in tables:
            (row,) = session.execute(select(table.__table__)).mappings()
            session.execute(insert(table).values(**{**row, "nonce": "another"}))
    with pytest.raises(VerificationError, match="a sign-off of reviewer that is not in the log"):
        reckoning.compare(context)
    with context.database.write() as session:
        for table in reversed(tables):
            session.execute(delete(table).where(table.nonce == "another"))
    assert reckoning.compare(context) == 1
    for name in ("audit_digest", "diff_digest"):
        with context.database.write() as session:
            row = session.scalars(select(RevisionRow)).one()
            before = getattr(row, name)
            setattr(row, name, "sha256:" + "0" * 64)
        with pytest.raises(VerificationError, match="the evidence of the sign-off at log entry"):
            reckoning.compare(context)
        with context.database.write() as session:
            setattr(session.scalars(select(RevisionRow)).one(), name, before)


def test_a_sign_off_that_was_deleted_or_rewritten_is_found_and_goes_into_no_bundle(
    client: TestClient, key: Path, reviews: Reviews
) -> None:
    prepared, _ = signed(reviews, key, "REJECTED")
    context = client.app.state.context  # type: ignore[attr-defined]
    document = json.loads(prepared.payload)
    document["predicate"]["decision"] = "APPROVED"
    forged = envelope_from_ssh(canonical(document), sign_with_ssh_key(key, pae(canonical(document))))
    size = reviews.log().size
    with context.database.write() as session:
        session.execute(update(StatementRow).values(payload=canonical(document)))
        session.execute(
            update(SignoffRow).values(
                decision="APPROVED",
                payload_digest=digest(canonical(document)),
                envelope_digest=context.store.put_json(forged.to_json()),
            )
        )
    with pytest.raises(VerificationError, match="not in the log"):
        reviews.bundle(1, 1)
    assert reviews.log().size == size
    with pytest.raises(VerificationError, match="bytes"):
        reckoning.compare(context)
    with context.database.write() as session:
        session.execute(delete(SignoffRow))
    with pytest.raises(VerificationError, match="is gone"):
        reckoning.compare(context)


@pytest.mark.loopback
@pytest.mark.usefixtures("socket_enabled")
def test_with_a_quorum_nothing_is_signed_that_no_witness_saw(
    house: Any, client: TestClient, key: Path, reviews: Reviews
) -> None:
    context = client.app.state.context  # type: ignore[attr-defined]
    cosigner = Cosigner.generate("witness.example/w1")
    witness = Witness(house.place / "witness", [cosigner], [trust.log_reader(context).key])
    with WitnessServer(("127.0.0.1", 0), witness) as server:
        url = f"http://127.0.0.1:{server.server_port}/"
        document = json.loads(context.roots.read_bytes())
        document["quorum"] = f"witness w {cosigner.public.vkey} {url}\nquorum w\n"
        context.roots.write_bytes(canonical(document))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            _, index = signed(reviews, key)
            assert admitted(house, reviews)  # the panel's commitment too, which was logged before there was a witness
            (found,) = open_cosignatures(trust.log(context).proof(index).checkpoint, (cosigner.public,))
            assert found.key == cosigner.public
        finally:
            server.shutdown()
            thread.join()
    with pytest.raises(SandboxMissingError, match="not the quorum"):
        signed(reviews, key, "REJECTED")
    with pytest.raises(SandboxMissingError, match="not the quorum"):
        reviews.bundle(1, 1)
