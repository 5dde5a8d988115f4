# SPDX-License-Identifier: Apache-2.0
"""What the service puts into its log beside sign-offs, the proofs it keeps of it, and the revocation list.

Each proof is kept as it was when its entry was logged and cosigned: that is what dates an entry, and a later
checkpoint would not.
"""

from __future__ import annotations

import functools
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx2

from evidence import (
    CountersignError,
    InputError,
    SandboxMissingError,
    VerificationError,
    canonical,
    parse_json,
    sha256_hex,
)
from service import trust, trust_files
from service.arrivals import now
from service.store import write_durably
from signoff import (
    Envelope,
    Logged,
    LogProof,
    RevocationList,
    Revoked,
    RevokedKind,
    ask,
    build_revocations,
    derive_salt,
    entry_bytes,
    evidence_leaf,
    key_leaf,
    leaf,
    leaf_hash,
    panel_commitment,
    panel_leaf,
    read_revocations,
    revocations_leaf,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from evidence import Digest, Json
    from service.context import Context
    from signoff import EvidenceReference, Log, PublicKey, Quorum, Revocations, Statement

ROWS = "rows"  # the lock under which a decision, rollout or incident is kept and logged: see `service.reckoning`
REVOCATIONS_INTERVAL = timedelta(hours=24)
_PANEL = "panel"
_WITNESS_SECONDS = 20.0
_LIST_LIMIT = 8 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NEAR_THE_END = 1 << 16  # entries; what a killed process left without a proof is not further back


class Needed(NamedTuple):
    """Something that a sign-off rests on: its leaf's type and digest, and the salt of a panel's commitment."""

    kind: str
    digest: Digest
    salt: bytes | None = None


def record(context: Context, document: Mapping[str, Json]) -> LogProof:
    """Log a leaf once, have it witnessed where the roots ask for it, and keep its proof. See `record_all`."""
    return record_all(context, [document])[0]


def record_all(context: Context, documents: Sequence[Mapping[str, Json]]) -> list[LogProof]:
    """Log leaves, those that are new together under one checkpoint, and keep their proofs.

    What a killed process logged and kept no proof of is found again near the log's end, and not logged twice.

    Raises:
        SandboxMissingError: not enough witnesses can be reached; the entries are logged, and the next call goes on.
        VerificationError: the log is damaged, or a witness saw another one.
    """
    proofs = [_kept_proof(context, document) for document in documents]
    waiting = [at for at, proof in enumerate(proofs) if proof is None]
    if waiting:
        log = trust.log(context)
        with context.exclusive("ledger"):
            near = max(0, log.size - _NEAR_THE_END)
            places = {
                at: log.index_of(documents[at], 0 if _has_proof(context, documents[at]) else near) for at in waiting
            }
            new = list({entry_bytes(documents[at]): at for at in waiting if places[at] is None}.items())
            if new:
                first = _append(context, log, [entry for entry, _ in new])
                given = {entry: first + number for number, (entry, _) in enumerate(new)}
                places |= {at: given[entry_bytes(documents[at])] for at in waiting if places[at] is None}
        have_witnessed(context, log)
        for at in waiting:
            proof = log.proof(places[at] or 0)
            write_durably(_proof_path(context, documents[at]), proof.text.encode())
            proofs[at] = proof
    return [proof for proof in proofs if proof is not None]


def _append(context: Context, log: Log, entries: Sequence[bytes]) -> int:
    """Append entries, behind one that names policy and roots where these were changed; the index of the first."""
    document = trust_files.changed(context)
    before = [] if document is None else [entry_bytes(trust_files.trust_leaf(document))]
    first = log.append_entries([*before, *entries])
    if document is not None:
        trust_files.logged(context, document)
    return first + len(before)


def logged_proof(context: Context, document: Mapping[str, Json]) -> LogProof:
    """The kept proof of a leaf that is in the log. Nothing is logged by asking.

    Raises:
        VerificationError: it is not in the log: what it was made from was changed since.
    """
    kept = _kept_proof(context, document)
    if kept is not None:
        return kept
    index = trust.log_reader(context).index_of(document)
    if index is None:
        raise VerificationError("log", f"a {document['type']} that is not in the log: it was changed since")
    log = trust.log(context)
    have_witnessed(context, log)
    proof = log.proof(index)
    write_durably(_proof_path(context, document), proof.text.encode())
    return proof


def commit_panel(context: Context, revision: Digest, panel: Digest) -> None:
    """Log the commitment to a panel, before it is used."""
    record(context, panel_leaf(panel_commitment(panel, _salt(context, revision, panel))))


def record_needed(
    context: Context, evidence: Mapping[str, Digest], revision: Digest, keys: Iterable[PublicKey]
) -> None:
    """Log what a statement is going to rest on: its evidence, its panel's commitment, its signer's keys."""
    leaves = [evidence_leaf(named) for name, named in sorted(evidence.items()) if name != _PANEL]
    if _PANEL in evidence:
        panel = evidence[_PANEL]
        leaves.append(panel_leaf(panel_commitment(panel, _salt(context, revision, panel))))
    record_all(context, [*leaves, *map(key_leaf, keys)])


def logged(context: Context, statement: Statement, key: PublicKey) -> dict[tuple[str, str], Logged]:
    """What a statement rests on, with its proofs, for a bundle; by type, and the digest of what is meant."""
    return logged_pieces(context, statement.revision, statement.predicate.evidence, key)


def logged_pieces(
    context: Context, revision: Digest, pieces: Iterable[EvidenceReference], key: PublicKey
) -> dict[tuple[str, str], Logged]:
    """These pieces of evidence of a revision and the key that signed for them, with their proofs."""
    named = str(key_leaf(key)["digest"])
    found = logged_evidence(context, pieces, revision)
    return {**found, ("key", named): Logged("key", named, logged_proof(context, key_leaf(key)))}


def logged_evidence(
    context: Context, pieces: Iterable[EvidenceReference], revision: Digest
) -> dict[tuple[str, str], Logged]:
    """The evidence of a review with its proofs, by type and digest; the panel by its own, its commitment opened."""
    found = {}
    for piece in pieces:
        named = f"sha256:{piece.digest.sha256}"
        salt = _salt(context, revision, named) if piece.name == _PANEL else None
        kind, held = ("evidence", named) if salt is None else (_PANEL, panel_commitment(named, salt))
        found[kind, named] = Logged(kind, held, logged_proof(context, leaf(kind, digest=held)), salt=salt)
    return found


def revocation_list(context: Context, *, after: int = -1) -> RevocationList:
    """The newest revocation list, logged; a new one where it is a day old, or something was revoked since.

    It stands behind the entry ``after`` in the log: what had been revoked until then is on it.

    Its proof is under the checkpoint of this moment, witnessed anew where the roots ask for it.
    """
    known = _known_list(context)
    revoked = read_revoked(context)
    number, fresh = 0, False
    if known is not None:
        listed = read_revocations(known.payload)
        number = listed.number + 1
        fresh = listed.issued_at + REVOCATIONS_INTERVAL > now() and _same(listed, revoked)
    log = trust.log(context)
    if known is not None and fresh and after >= 0:
        fresh = (log.index_of(revocations_leaf(known)) or -1) > after
    envelope = known
    if envelope is None or not fresh:
        document = build_revocations(trust.SERVICE_ID, number, now(), revoked)
        envelope = trust.service_key(context).sign(canonical(document))
    entry = revocations_leaf(envelope)
    index = log.index_of(entry, max(0, log.size - _NEAR_THE_END))
    if index is None and fresh:
        index = log.index_of(entry)
    if index is None:
        index = _append(context, log, [entry_bytes(entry)])
    have_witnessed(context, log)
    write_durably(context.revocations, canonical(envelope.to_json()), mode=0o644)
    return RevocationList(envelope, log.proof(index))


def due(context: Context) -> bool:
    """Whether it is time for a new list: there is one, and it is a day old. The first is made with the first bundle."""
    known = _known_list(context)
    return known is not None and read_revocations(known.payload).issued_at + REVOCATIONS_INTERVAL <= now()


def read_revoked(context: Context) -> tuple[Revoked, ...]:
    """What the reviewer has revoked. InputError if the file cannot be used."""
    if not context.revoked.exists():
        return ()
    entries = parse_json(context.revoked.read_bytes(), str(context.revoked), limit=_LIST_LIMIT)
    try:
        return tuple(
            Revoked(
                RevokedKind(one["kind"]),
                one["sha256"],
                datetime.fromisoformat(one["since"]),
                one["reason"],
                one.get("before"),
            )
            for one in entries
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{context.revoked}: not a list of revocations") from error


def revoke(
    context: Context, kind: RevokedKind, sha256: str, reason: str, since: datetime, *, before: int | None = None
) -> RevocationList:
    """Revoke a statement, key, revision or recipe, and log the new list at once.

    ``before`` stops a recipe's lane: what was logged before that entry still counts. It can be revoked later.

    Raises:
        InputError: it is revoked already, or no SHA-256.
    """
    if not _SHA256.fullmatch(sha256):
        raise InputError(f"{sha256[:80]!r}: not a SHA-256, which is 64 hexadecimal digits in small letters")
    with context.exclusive("revocations"):
        return _revoke(context, Revoked(kind, sha256, since, reason, before))


def _revoke(context: Context, new: Revoked) -> RevocationList:
    known = read_revoked(context)
    if new.before is None:
        known = tuple(one for one in known if one.before is None or (one.kind, one.sha256) != (new.kind, new.sha256))
    if any((one.kind, one.sha256) == (new.kind, new.sha256) for one in known):
        raise InputError(f"the {new.kind} {new.sha256[:80]} is revoked already")
    every = (*known, new)
    build_revocations(trust.SERVICE_ID, 0, now(), every)
    entries: list[dict[str, Any]] = [
        {
            "kind": one.kind.value,
            "sha256": one.sha256,
            "since": one.since.isoformat(),
            "reason": one.reason,
            "before": one.before,
        }
        for one in every
    ]
    write_durably(context.revoked, canonical(entries))
    return revocation_list(context)


def have_witnessed(context: Context, log: Log) -> None:
    """Have the log's checkpoint cosigned by the quorum's witnesses, if the roots have one.

    Raises:
        SandboxMissingError: those that answered are not the quorum.
    """
    quorum = trust.roots(context).quorum
    if quorum is None:
        return
    note = log.checkpoint()
    said: list[str] = []
    for name, key in quorum.witnesses.items():
        url = quorum.urls.get(name)
        if url is None:
            continue
        try:
            note = ask(note, [key], functools.partial(post_checkpoint, url), log.consistency_proof)
        except CountersignError as error:
            said.append(f"{key.name}: {error}")
    log.add_cosignatures(note)
    _check_quorum(quorum, note, said)


def post_checkpoint(url: str, body: bytes) -> tuple[int, bytes]:
    """Send a body to a witness's add-checkpoint; its status and answer.

    Raises:
        SandboxMissingError: it cannot be reached.
    """
    try:
        with httpx2.Client(timeout=_WITNESS_SECONDS, follow_redirects=False, trust_env=False) as client:
            answer = client.post(f"{url.rstrip('/')}/add-checkpoint", content=body)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise SandboxMissingError(f"{url}: the witness cannot be reached: {error}") from error
    return answer.status_code, answer.content


def _has_proof(context: Context, document: Mapping[str, Json]) -> bool:
    return _proof_path(context, document).exists()


def kept_proof(context: Context, document: Mapping[str, Json]) -> LogProof | None:
    """The proof that was kept when a leaf was logged, whatever the roots ask for by now; None if there is none."""
    path = _proof_path(context, document)
    return LogProof.parse(path.read_text(encoding="utf-8")) if path.exists() else None


def _kept_proof(context: Context, document: Mapping[str, Json]) -> LogProof | None:
    """The proof that was kept, if it has what the roots ask for."""
    kept = kept_proof(context, document)
    return kept if kept is not None and _is_witnessed(context, kept) else None


def _is_witnessed(context: Context, proof: LogProof) -> bool:
    """Whether a kept proof has what the roots ask for now: it may be of before they asked for witnesses, or others."""
    quorum = trust.roots(context).quorum
    if quorum is None:
        return True
    try:
        quorum.check(proof.checkpoint)
    except VerificationError:
        return False
    return True


def _check_quorum(quorum: Quorum, note: bytes, said: list[str]) -> None:
    try:
        quorum.check(note)
    except CountersignError as error:
        raise SandboxMissingError(f"{error}; {'; '.join(said) or 'no witness has an address in the roots'}") from error


def _known_list(context: Context) -> Envelope | None:
    if not context.revocations.exists():
        return None
    return Envelope.read(context.revocations.read_bytes(), limit=_LIST_LIMIT)


def _same(listed: Revocations, revoked: tuple[Revoked, ...]) -> bool:
    return {(one.kind, one.sha256, one.before) for one in listed.revoked} == {
        (one.kind, one.sha256, one.before) for one in revoked
    }


def _salt(context: Context, revision: Digest, panel: Digest) -> bytes:
    return derive_salt(trust.service_key(context).secret, revision, panel)


def _proof_path(context: Context, document: Mapping[str, Json]) -> Path:
    return context.proofs / f"{sha256_hex(leaf_hash(entry_bytes(document)))}.tlog-proof"
