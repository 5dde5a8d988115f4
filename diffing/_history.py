# SPDX-License-Identifier: Apache-2.0
"""history-rewritten and authorship-mismatch: how head came to be, as far as commits tell.

Whether signatures verify is told only where a reviewer says who may sign (``_signatures``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from diffing._evidence import cut
from diffing._signatures import check, signature_findings
from diffing.changes import History, NotAnalysed
from evidence import Finding, RepositoryError, Severity, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from confine import Commit, Person, Repository

PLACE = "(history)"
_HOSTS = frozenset({"noreply@github.com", "noreply@gitlab.com", "web-flow@github.com", "noreply@gitea.io"})
_NAMED = 10


class Read(NamedTuple):
    """A history, findings on it, why it was not read, and its messages, oldest first."""

    history: History | None
    findings: list[Finding]
    not_analysed: list[NotAnalysed]
    messages: list[str]


def read_history(
    repository: Repository, base: str, head: str, signers: Path | None = None, keyring: Path | None = None
) -> Read:
    """The history between two commits; a merge says nothing of its own.

    ``signers`` and ``keyring`` are who may sign, by SSH and OpenPGP, if anybody must.

    Raises:
        InputError: a file of signers cannot be read.
        SandboxMissingError: there is one, and nothing to verify signatures with.
    """
    if base == head:
        return Read(History(0, 0, ancestor=True), [], [], [])
    try:
        ancestor = repository.is_ancestor(base, head)
        commits = repository.commits(base, head)
    except (RepositoryError, TooLargeError) as error:
        unread = NotAnalysed(PLACE, f"history not read: {error}", "history")
        return Read(None, [], [unread], [repository.message(head)])
    signed = sum(commit.signature is not None for _, commit in commits)
    by_list = signers is not None or keyring is not None
    findings = list(authorship_findings([commit for _, commit in commits], by_list=by_list))
    checked = check(commits, signers, keyring) if by_list else None
    findings += signature_findings(checked or ())
    verified = sum(one.outcome == "verified" for one in checked) if checked is not None else None
    if not ancestor:
        findings.append(_rewritten(repository, base, head))
    messages = [commit.message for _, commit in commits if len(commit.parents) <= 1]
    kinds = Counter(commit.signature for _, commit in commits if commit.signature is not None)
    return Read(History(len(commits), signed, ancestor, verified, dict(sorted(kinds.items()))), findings, [], messages)


def _rewritten(repository: Repository, base: str, head: str) -> Finding:
    try:
        common = repository.merge_base(base, head)
        lost = len(repository.commits(head, base))
        text = f"Commits of base that head has not: {lost:,}. They part at {common[:12]}."
    except (RepositoryError, TooLargeError):
        common, lost = "", 0
        text = "They have no commit in common."
    return Finding(
        "history-rewritten",
        Severity.HIGH,
        "Base is no ancestor of head",
        f"{text} What base had and head has not shows as removed here.",
        None,
        {"merge_base": common or None, "lost_commits": lost, "old": base, "new": head},
        (base, head),
    )


def authorship_findings(commits: Sequence[Commit], *, by_list: bool = False) -> Iterator[Finding]:
    """Commits by one and committed by another, one name under several addresses, signed and unsigned ones mixed.

    ``by_list`` says that unsigned ones are told by a list of signers.
    """
    others = [commit for commit in commits if _differ(commit.author, commit.committer)]
    if others:
        pairs = sorted({f"{_shown(one.author)}, committed by {_shown(one.committer)}" for one in others})
        title = f"{len(others)} of {len(commits)} commits were committed by another than their author"
        yield _authorship("another committer", title, pairs)
    addresses: dict[str, set[str]] = defaultdict(set)
    for commit in commits:
        for person in (commit.author, commit.committer):
            if person.name and person.email.lower() not in _HOSTS:
                addresses[person.name.casefold()].add(person.email.lower())
    several = {name: emails for name, emails in addresses.items() if len(emails) > 1}
    if several:
        listed = sorted(f"{name}: {', '.join(sorted(emails))}" for name, emails in several.items())
        yield _authorship(
            "several addresses",
            f"{len(several)} name{'' if len(several) == 1 else 's'} under several addresses",
            listed,
        )
    unsigned = [commit for commit in commits if commit.signature is None]
    if unsigned and len(unsigned) < len(commits) and not by_list:
        people = sorted({_shown(commit.author) for commit in unsigned})
        yield _authorship(
            "unsigned", f"{len(unsigned)} of {len(commits)} commits are unsigned, the others are not", people
        )


def _differ(author: Person, committer: Person) -> bool:
    if committer.email.lower() in _HOSTS or not author.email:
        return False
    return author.email.lower() != committer.email.lower() and author.name.casefold() != committer.name.casefold()


def _shown(person: Person) -> str:
    return f"{person.name} <{person.email}>"[:200]


def _authorship(kind: str, title: str, people: Sequence[str]) -> Finding:
    return Finding(
        "authorship-mismatch",
        Severity.LOW,
        cut(title),
        f"{'; '.join(people[:3])}. Names in commits are claims: whoever pushes can write any.",
        None,
        {"kind": kind, "people": list(people[:_NAMED]), "count": len(people)},
        (kind, *people[:200]),
    )
