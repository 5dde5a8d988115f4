# SPDX-License-Identifier: Apache-2.0
"""What a reviewer's own machine says of a statement before it is signed: same manifest and diff, or a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confine import Repository
from diffing import diff, read_rules
from evidence import VERSION, Artifact, InputError, RepositoryError, Revision, document_digest, file_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from evidence import Snapshot
    from signoff import Statement

_STEPS_BACK = 500
_REFS = "refs/heads/"


def recomputed(
    statement: Statement, repo: Path, artifacts: Mapping[str, Path], *, base: str | None, rules: Path | None
) -> str:
    """Compute manifest and diff from a clone of the reviewer's own; returns a line that says what agrees.

    What is *not* computed anew: the audit, which takes the panel and a sandbox; ``countersign audit`` does it.

    Args:
        statement: what is to be signed.
        repo: the reviewer's clone.
        artifacts: files by the names in the manifest; those not given are taken from the signed commit.
        base: where the change starts; where left out, the commit with the signed base tree is looked for.
        rules: the reviewer's own rules, if the diff was made with some.

    Raises:
        InputError: the first thing that does not agree, or that is not here to compare.
    """
    change = statement.predicate.change
    with Repository.open(repo) as repository:
        try:
            head = repository.snapshot(change.headCommit)
        except RepositoryError as error:
            raise InputError(f"{repo} does not have the signed head {change.headCommit[:12]}; fetch it") from error
        if head.tree != change.headTree:
            raise InputError(f"nothing was signed: in {repo} the head's tree is {head.tree[:12]}, not the statement's")
        start = repository.snapshot(base or _base(repository, statement))
        revision = Revision(change.repository, start, head, _held(repository, head, artifacts))
        if revision.digest != statement.revision:
            raise InputError(
                f"nothing was signed: from {repo} the manifest comes to {revision.digest}, the statement is about "
                f"{statement.revision}; {_differs(statement, revision)}"
            )
        found = diff(repository, start.commit, head.commit, rules=read_rules(rules) if rules else None)
    digest = document_digest(found.to_json())
    stated = f"sha256:{statement.evidence_digest('diff')}"
    if digest != stated:
        raise InputError(
            f"nothing was signed: the diff comes to {digest} here (version {VERSION}), the statement binds {stated}; "
            "give the rules that it was made with, or ask which version made it"
        )
    _check_coverage(statement, {file.path for file in found.files})
    return (
        f"computed anew from {repo}: manifest and diff are the statement's ({len(found.files)} files, "
        f"{len(found.findings)} findings, {len(revision.artifacts)} artifacts)"
    )


def _check_coverage(statement: Statement, paths: AbstractSet[str]) -> None:
    """Files are counted and waived as the diff has them. Which of them were viewed only the reviewer knows."""
    said = statement.predicate.coverage
    if said.files != len(paths):
        raise InputError(f"nothing was signed: the statement counts {said.files} files, the diff has {len(paths)}")
    unknown = [one.path for one in said.waived if one.path not in paths]
    if unknown:
        raise InputError(f"nothing was signed: the statement waives {unknown[0][:200]!r}, which the diff does not have")
    if said.viewed + len(said.waived) < said.files and not statement.predicate.notInspected:
        raise InputError(
            "nothing was signed: files were neither viewed nor waived, and the statement does not say which"
        )


def _base(repository: Repository, statement: Statement) -> str:
    """The commit that the change starts from: where it left the target branch, else the nearest of that tree."""
    change = statement.predicate.change
    branch = change.targetRef.removeprefix(_REFS)
    for ref in (change.targetRef, f"refs/remotes/origin/{branch}"):
        try:
            found = repository.merge_base(ref, change.headCommit)
        except RepositoryError:
            continue
        if repository.tree_id(found) == change.baseTree:
            return found
    for back in range(1, _STEPS_BACK):
        try:
            found = repository.resolve(f"{change.headCommit}~{back}")
        except RepositoryError:
            break
        if repository.tree_id(found) == change.baseTree:
            return found
    raise InputError(f"no commit before {change.headCommit[:12]} has the signed base tree; name it with --base")


def _held(repository: Repository, head: Snapshot, given: Mapping[str, Path]) -> tuple[Artifact, ...]:
    """The artifacts as the reviewer holds them: files that were given, and what the signed commit declares."""
    from service.submitted import declared_artifacts  # noqa: PLC0415 - brings the sandbox's and models' imports

    found = {artifact.name: artifact for artifact in declared_artifacts(repository, head.commit)}
    for name, path in given.items():
        if not path.is_file():
            raise InputError(f"{path}: no such file, for artifact {name!r}")
        found[name] = Artifact(name, path.stat().st_size, file_sha256(path))
    return tuple(found[name] for name in sorted(found))


def _differs(statement: Statement, revision: Revision) -> str:
    change = statement.predicate.change
    if revision.base.tree != change.baseTree:
        return f"its base tree is {change.baseTree[:12]}, here {revision.base.tree[:12]}"
    held = ", ".join(artifact.name for artifact in revision.artifacts) or "none"
    return f"another base commit (--base), or other artifacts (--artifact); held here: {held}"
