# SPDX-License-Identifier: Apache-2.0
"""The steps of a review. Each may be killed at any point and run again: results go to the store by content."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from behavior import MANIFEST_NAME, Side, audit, read_panel
from confine import Limits, Repository
from diffing import ReviewerRules
from evidence import VERSION, RepositoryError, Revision, Severity, Verdict, document_digest, sha256_hex
from reports import report_document
from service import builds, comparing, confirming, ledger, progress, submitted
from service.artifacts import compare_artifacts
from service.leases import ALONE
from service.life import ARTIFACTS_COMPARED, State
from service.outward import UnansweredError
from service.slates import SlateFolder
from service.suppliers import suppliers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evidence import Digest
    from service.context import Context
    from service.progress import Job

_cores = threading.BoundedSemaphore(max(1, os.cpu_count() or 1))
_mirrors: dict[Path, threading.Lock] = {}
_mirrors_lock = threading.Lock()
_owner = [ALONE]


class UnreachableError(RepositoryError):
    """The code host did not give the repository. That may pass."""

    problem = "unreachable"


def fetch(context: Context, revision_id: int) -> None:
    """Mirror the repository, resolve base and head, store the revision manifest.

    Raises:
        RepositoryError: it cannot be fetched, a commit is missing, base and head are the same, or base was signed with
            other artifacts.
    """
    job = _confirmed(context, revision_id)
    if job.state is not State.RECEIVED:
        return
    with _mirrored(context, job) as repository:
        start = builds.adopt(context, job, repository) if job.base_commit is None else job.base_commit
        base = repository.snapshot(start or _base(repository, job))
        head = repository.snapshot(job.head_commit)
        if base.commit == head.commit:
            raise RepositoryError(f"base and head are the same commit {head.commit[:12]}: there is nothing to review")
        beside = submitted.folder_of(context, job, head.commit)
        artifacts = submitted.declared_artifacts(repository, head.commit, beside)
        revision = Revision(job.repository, base, head, artifacts)
        before = submitted.base_artifacts(context, job, repository, base.commit)
        same = before["artifacts"] == [{"name": one.name, "size": one.size, "sha256": one.sha256} for one in artifacts]
        outside = start is None and same and not _touches(context, job, repository, base.commit)
    progress.record(
        context.database,
        revision_id,
        "fetched",
        base_commit=base.commit,
        digest=context.store.put(revision.canonical()),
        base_artifacts_digest=context.store.put_json(before),
    )
    if outside:
        progress.advance(context.database, revision_id, State.OUTSIDE)


def _confirmed(context: Context, revision_id: int) -> Job:
    """The revision, once its code host has said how it is now."""
    try:
        confirming.confirm(context, progress.job(context.database, revision_id))
    except UnansweredError as error:
        raise UnreachableError(str(error)) from error
    return progress.job(context.database, revision_id)


def _touches(context: Context, job: Job, repository: Repository, base: str) -> bool:
    """Whether a change touches what of its repository is under review. The manifest always is."""
    configured = context.platform(job.platform).find(job.repository)
    if configured is None or not configured.paths:
        return True
    old, new = ({path: (one.mode, one.object_id) for path, one in repository.tree(commit).items()}
                for commit in (base, job.head_commit))  # fmt: skip
    changed = (path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
    return any(path == MANIFEST_NAME or configured.covers(path) for path in changed)


def compare(context: Context, revision_id: int) -> None:
    """Diff base and head, as ``service.comparing`` does; the document goes to the store."""
    job = progress.job(context.database, revision_id)
    with _cores, open_mirror(context, job) as repository:
        document = comparing.compare(context, job, repository, _required(job.base_commit)).to_json()
    stored = context.store.put_json(document)
    progress.advance(context.database, revision_id, State.DIFFED, diff_digest=stored)


def weigh(context: Context, revision_id: int) -> None:
    """Compare base's declared artifacts with head's, by the panel's slices; nothing is kept where there are none.

    Raises:
        RepositoryError: an artifact beside the repository is no longer what the revision names.
        SandboxMissingError: no working sandbox; nothing was opened.
    """
    job = progress.job(context.database, revision_id)
    base = _required(job.base_commit)
    platform = context.platform(job.platform)
    with _cores, _work_folder(context) as folder, open_mirror(context, job) as repository:
        sides = {
            name: submitted.taken(repository, commit, submitted.folder_of(context, job, commit), folder / name)
            for name, commit in (("base", base), ("head", job.head_commit))
        }
        submitted.held(context, job, sides)
        if not any(sides.values()):
            return
        panel, keys = read_panel(platform.panel), comparing.keys(context, job)
        known = context.store.get_json(_required(job.diff_digest))["findings"]
        result = compare_artifacts(sides["base"], sides["head"], panel, keys)
        document = result.weighed(comparing.rules(context, job) or ReviewerRules(), known).to_json()
    stored = context.store.put_json(document)
    progress.record(context.database, revision_id, ARTIFACTS_COMPARED, artifacts_digest=stored)


def audit_key(context: Context, revision_id: int) -> Digest:
    """What an audit is known by: the digest of revision, panel, policy and version.

    Where a review of the same head has failed before, the number of the new one too: its error is not taken over.
    """
    job = progress.job(context.database, revision_id)
    panel = read_panel(context.platform(job.platform).panel)
    more: dict[str, Any] = {"again": job.n} if progress.failed_before(context.database, job) else {}
    build = builds.row_of(context, revision_id)
    if build is not None:
        more["recipe"] = build.recipe
    if job.artifacts_digest is not None:
        document = context.store.get_json(job.artifacts_digest)  # base's are not in the manifest
        more["artifacts"] = [one["base"] for one in document["artifacts"]]
    return document_digest(
        {"revision": job.digest, "panel": panel.digest, "policy": policy_digest(context), "version": VERSION, **more}
    )


def policy_digest(context: Context) -> str:
    """The SHA-256 of the policy file's bytes."""
    return sha256_hex(context.policy.read_bytes())


def behave(context: Context, revision_id: int) -> dict[str, str]:
    """Run base and head in the sandbox over the platform's panel; returns the digests of both documents.

    ``audit`` is the reviewer's document, ``public`` what a submitter may see of it.
    """
    job = progress.job(context.database, revision_id)
    panel = read_panel(context.platform(job.platform).panel)
    ledger.commit_panel(context, _required(job.digest), panel.digest)
    with _work_folder(context) as folder, open_mirror(context, job) as repository:
        sides = {}
        for name, commit in (("base", _required(job.base_commit)), ("head", job.head_commit)):
            beside = submitted.folder_of(context, job, commit)
            artifacts, digest = submitted.exported(repository, commit, beside, folder / name)
            submitted.held(context, job, {name: artifacts})
            files = {key: one.file for key, one in artifacts.items()}
            sides[name] = Side(tree=folder / name, artifacts=files, digest=digest)
        limits = Limits(call_seconds=context.settings.call_seconds)
        # A lane stops at the first build outside, so that nobody looks twice and alpha is not spent over looks.
        look = job.n if builds.row_of(context, revision_id) is None else None
        result = audit(
            panel,
            sides["base"],
            sides["head"],
            limits=limits,
            cache=SlateFolder(context.slates / job.platform),
            revision=look,
        )
    return {"audit": context.store.put_json(result.to_json()), "public": context.store.put_json(result.public())}


def take_audit(context: Context, revision_id: int, outcome: Mapping[str, str]) -> None:
    """Hang an audit's documents on a revision."""
    progress.advance(
        context.database,
        revision_id,
        State.AUDITED,
        audit_digest=outcome["audit"],
        public_digest=outcome["public"],
    )


def conclude(context: Context, revision_id: int) -> str:
    """The review's verdict, from diff, artifacts and audit; the revision becomes ready. Returns the verdict."""
    job = progress.job(context.database, revision_id)
    diff, audited = (context.store.get_json(_required(name)) for name in (job.diff_digest, job.audit_digest))
    artifacts = context.store.get_json(job.artifacts_digest) if job.artifacts_digest is not None else None
    documents = [document for document in (diff, artifacts, audited) if document is not None]
    verdict = Verdict.combine(*(Verdict(document["verdict"]) for document in documents))
    manifest = context.store.get_json(_required(job.digest))
    report = report_document(manifest, diff, audited, artifacts=artifacts, title=job.title)
    serious = {
        finding["id"]
        for document in documents
        for finding in document["findings"]
        if Severity(finding["severity"]).at_least(Severity.HIGH)
    }
    progress.advance(
        context.database,
        revision_id,
        State.READY,
        verdict=verdict.value,
        findings=len(serious),
        people_digest=context.store.put_json(_people(context, job, documents)),
        report_digest=context.store.put_json(report),
    )
    return verdict.value


def countersign(context: Context, revision_id: int) -> None:
    """What becomes of a build under a recipe once it is reviewed; nothing for any other revision."""
    job = progress.job(context.database, revision_id)
    builds.settle(context, job, lambda: open_mirror(context, job))


def _people(context: Context, job: Job, documents: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    with open_mirror(context, job) as repository:
        people = progress.people(context.database, job, repository, _required(job.base_commit))
    people |= suppliers(context, job, documents)
    return [{"name": name, "email": email} for name, email in sorted(people)]


def open_mirror(context: Context, job: Job) -> Repository:
    """The mirror of a change's repository, as it was last fetched."""
    return Repository.open(context.mirror(job.platform, _clone_url(context, job)))


def _mirrored(context: Context, job: Job) -> Repository:
    url = _clone_url(context, job)
    into = context.mirror(job.platform, url)
    into.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _mirrors_lock:
        lock = _mirrors.setdefault(into, threading.Lock())
    with lock:
        refs = (f"refs/{job.key}/*",) if job.key.startswith(("pull/", "merge-requests/")) else ()
        allow_local = context.platform(job.platform).allow_local
        try:
            return Repository.mirror(url, into, extra_refs=refs, allow_local=allow_local)
        except RepositoryError as error:
            if urlsplit(url).scheme in {"https", "ssh"}:
                raise UnreachableError(str(error)) from error
            raise


def _clone_url(context: Context, job: Job) -> str:
    """The URL is the operator's; nothing of a payload goes into it but a name that the operator listed."""
    configured = context.platform(job.platform).find(job.repository)
    if configured is None:
        raise RepositoryError(f"repository {job.repository} is no longer configured for platform {job.platform}")
    return configured.url


def _base(repository: Repository, job: Job) -> str:
    """Where the change starts: what was resolved before, or the merge base with the target branch.

    For a pull request the hint is the target's tip when the event was sent: it is believed only if it is really on the
    target branch, so that a payload cannot hide commits. A submitter's base has to be there. For a push it is what the
    branch was before.
    """
    if job.base_commit is not None:
        return job.base_commit
    if job.key == job.target_ref:
        if job.base_hint is None:
            raise RepositoryError(f"{job.target_ref} is new: there is nothing to compare it with")
        return job.base_hint
    target = repository.resolve(job.target_ref)
    if job.base_hint is not None and job.key.startswith("submit/"):
        if not repository.is_ancestor(job.base_hint, target):
            raise RepositoryError(
                f"base {job.base_hint[:12]} is not on {job.target_ref}: start where the change is to go"
            )
        return job.base_hint
    if job.base_hint is not None and repository.is_ancestor(job.base_hint, target):
        target = job.base_hint
    return repository.merge_base(target, job.head_commit)


@contextmanager
def _work_folder(context: Context) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="audit-", dir=own_work(context, _owner[0])))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def own_work(context: Context, owner: str) -> Path:
    """The folder for what a worker's running steps need."""
    folder = context.work / owner
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def empty_work(context: Context, owner: str) -> None:
    """Remove what the killed steps of a worker left behind."""
    shutil.rmtree(context.work / owner, ignore_errors=True)


def work_as(owner: str) -> None:
    """The name of this process among the workers, before any step runs."""
    _owner[:] = [owner]


def _required(value: Any) -> str:  # noqa: ANN401 - a nullable column
    if not isinstance(value, str):
        raise RepositoryError("a step of this review is missing: send the change again")
    return value
