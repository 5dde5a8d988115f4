# SPDX-License-Identifier: Apache-2.0
"""A revision's diff, with what the reviewer has beside the two commits: rules, last signed head, title, wheels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import select, union_all

from diffing import NotAnalysed, diff, read_keys, read_rules
from evidence import RepositoryError
from service.database import CarriedRow, Change, EventRow, RevisionRow, SignoffRow
from service.life import State

if TYPE_CHECKING:
    from pathlib import Path

    from confine import Repository
    from diffing import Diff, Keys, ReviewerRules
    from service.context import Context
    from service.progress import Job

WHEELS = "(wheels)"


def compare(context: Context, job: Job, repository: Repository, base: str) -> Diff:
    """What changed between ``base`` and the revision's head, under the reviewer's rules.

    Raises:
        InputError: the rules or wheels cannot be used.
        RepositoryError: the repository cannot be read.
    """
    wheels, missing = _wheels(context, job, base)
    result = diff(
        repository,
        base,
        job.head_commit,
        baseline=_baseline(repository, last_signed(context, job), base),
        rules=rules(context, job),
        title=_own_title(repository, job),
        wheels=wheels,
        keys=keys(context, job),
        signers=context.platform(job.platform).allowed_signers,
        keyring=context.platform(job.platform).openpgp_keyring,
    )
    return replace(result, not_analysed=(*result.not_analysed, *missing))


def last_signed(context: Context, job: Job) -> list[str]:
    """The heads that were signed for the branch this change is to go to, the last one first.

    A head counts if the policy let it through, also where a later push has taken its place since, and nobody whose vote
    stands rejects it. Revisions of the change itself do not count: they are what is looked at.
    """
    once_signed = select(EventRow.revision_id).where(EventRow.what == State.SIGNED.value)
    counts = SignoffRow.log_index.is_not(None) & SignoffRow.superseded.is_(False)
    votes = union_all(
        select(SignoffRow.revision_id, SignoffRow.decision, SignoffRow.log_index).where(counts),
        select(CarriedRow.revision_id, SignoffRow.decision, CarriedRow.log_index)
        .join(SignoffRow, SignoffRow.nonce == CarriedRow.nonce)
        .where(counts),
    ).subquery()
    with context.database.read() as session:
        rows = session.execute(
            select(RevisionRow.id, RevisionRow.head_commit, votes.c.decision)
            .join(Change, Change.id == RevisionRow.change_id)
            .join(votes, votes.c.revision_id == RevisionRow.id)
            .where(
                Change.platform == job.platform,
                Change.repository == job.repository,
                Change.target_ref == job.target_ref,
                (Change.id != job.change_id) | (Change.key == Change.target_ref),
                RevisionRow.head_commit != job.head_commit,
                (RevisionRow.state == State.SIGNED)
                | ((RevisionRow.state == State.SUPERSEDED) & RevisionRow.id.in_(once_signed)),
            )
            .order_by(votes.c.log_index.desc())
        ).all()
    rejected = {row.id for row in rows if not row.decision.startswith("APPROVED")}
    return list(dict.fromkeys(row.head_commit for row in rows if row.id not in rejected))


def _baseline(repository: Repository, signed: list[str], base: str) -> str | None:
    """The last signed head that base descends from; where a host squashes, the last signed head that there is."""
    there = [commit for commit in signed if _known(repository, commit)]
    return next((commit for commit in there if repository.is_ancestor(commit, base)), there[0] if there else None)


def _known(repository: Repository, commit: str) -> bool:
    try:
        return repository.resolve(commit) == commit
    except RepositoryError:
        return False


def rules(context: Context, job: Job) -> ReviewerRules | None:
    """The reviewer's rules for this platform, None without any."""
    path = context.rules(job.platform)
    return read_rules(path) if path is not None else None


def keys(context: Context, job: Job) -> Keys | None:
    """The keys that statements of provenance have to verify with, None without any."""
    path = context.platform(job.platform).provenance_keys
    return read_keys(path) if path is not None else None


def _own_title(repository: Repository, job: Job) -> str | None:
    """What somebody called the change; None where its name is only that of its last commit."""
    subject = (repository.message(job.head_commit).strip().splitlines() or [""])[0]
    known = {job.head_commit[:12], subject[: len(job.title)]}
    return None if job.title in known or job.key == job.target_ref else job.title


def _wheels(context: Context, job: Job, base: str) -> tuple[tuple[Path, Path] | None, tuple[NotAnalysed, ...]]:
    """The folders of what base and head are installed from, named by their commits below the platform's ``wheels``."""
    place = context.platform(job.platform).wheels
    if place is None:
        return None, ()
    folders = place / base, place / job.head_commit
    there = [folder.is_dir() for folder in folders]
    if all(there):
        return folders, ()
    if not any(there):
        return None, ()
    lacking = base if not there[0] else job.head_commit
    return None, (NotAnalysed(WHEELS, f"there are no wheels of {lacking[:12]} to compare with", "dependency"),)
