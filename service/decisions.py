# SPDX-License-Identifier: Apache-2.0
"""What the deployer's gates decided: held against the roots, kept in the evidence store, logged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import structlog
from sqlalchemy import select

from evidence import InputError, canonical, digest
from service import hands, incidents, later_reviews, ledger, root_changes, trust
from service.arrivals import now
from service.database import DecisionRow, RevisionRow
from signoff import CLOCK_SKEW, Envelope, format_time, verify_summary

if TYPE_CHECKING:
    from evidence import Digest
    from service.context import Context
    from signoff import Summary

log = structlog.get_logger("countersign")


class Taken(NamedTuple):
    """A decision that was taken in. ``differs`` names the files that are not this reviewer's: that is an incident."""

    log_index: int
    passed: bool
    review_by: str | None
    differs: tuple[str, ...]
    fresh: bool


def take(context: Context, content: bytes, platform: str) -> Taken:
    """Check a gate's decision that a platform sent, keep it and log it. The same decision again is not logged twice.

    Raises:
        InputError: not a decision, one of a time to come, or in the name of another gate.
        VerificationError: signed by no gate of the roots.
    """
    envelope = Envelope.read(content)
    roots = trust.roots(context)
    gate, summary = verify_summary(envelope, roots)
    if summary.at > now() + CLOCK_SKEW:
        raise InputError(f"the decision is dated {summary.at:%Y-%m-%d %H:%M} UTC, which is yet to come")
    known = {"policy": f"sha256:{trust.policy(context).digest}", "roots": f"sha256:{roots.digest}"}
    given = roots.administration is not None and summary.roots in root_changes.digests(context)
    said = {"policy": summary.policy, "roots": summary.roots_in_force if given else summary.roots}
    differs = tuple(sorted(name for name, value in known.items() if said[name] != value))
    kept = canonical(envelope.to_json())
    size = trust.log_reader(context).size if (context.log / "checkpoint").exists() else 0
    context.store.put(kept)
    with context.exclusive(ledger.ROWS):
        _remember(context, digest(kept), platform, summary)
        index = later_reviews.place(context, digest(kept))
    broken = summary.break_glass
    if differs:
        detail = f"{gate.id} decided by another {' and another '.join(differs)} than this reviewer's"
        incidents.open_incident(context, incidents.OTHER_FILES, digest(kept), detail, now())
    own = _own_change(context, summary)
    if own:
        detail = f"{' and '.join(own)} broke the glass for a change that they had a hand in"
        incidents.open_incident(context, incidents.OWN_CHANGE, digest(kept), detail, now())
    if broken is not None:
        log.warning("gate decision to be looked at", gate=gate.id, envelope=digest(kept), differs=differs)
    owed = later_reviews.review_by(summary)
    return Taken(index, summary.passed, None if owed is None else format_time(owed), differs, index >= size)


def _own_change(context: Context, summary: Summary) -> list[str]:
    """Those who broke the glass for a change that they had a hand in, as this server knows and their gate did not."""
    broken = summary.break_glass
    if broken is None or not broken.admits or summary.revision is None:
        return []
    with context.database.read() as session:
        wanted = select(RevisionRow.people_digest).where(RevisionRow.digest == summary.revision)
        lists = session.scalars(wanted).all()
    breakers = [one.id for one in broken.people]
    return sorted({who for made in lists for who in hands.makers(context, made, breakers, unknown=False)})


def head_commit(summary: Summary) -> str | None:
    """The commit that was let out or refused; None where the gate knew none."""
    return next((one.digest.get("gitCommit") for one in summary.document.subject if one.name == "head"), None)


def _remember(context: Context, named: Digest, platform: str, summary: Summary) -> None:
    with context.database.write() as session:
        if session.get(DecisionRow, named) is None:
            session.add(
                DecisionRow(
                    digest=named,
                    platform=platform,
                    gate=summary.gate,
                    repository=summary.document.predicate.resourceUri,
                    revision=summary.revision,
                    head_commit=head_commit(summary),
                    passed=summary.passed,
                    decided_at=summary.at,
                    taken_at=now(),
                    log_index=None,
                    review_by=later_reviews.review_by(summary),
                )
            )
