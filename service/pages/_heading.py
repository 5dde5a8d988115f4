# SPDX-License-Identifier: Apache-2.0
"""The heading of a change, the same on each of its pages: what it is, which revision, where to go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from service.life import SIGNABLE, State
from service.pages._common import outside_link

if TYPE_CHECKING:
    from evidence import Verdict
    from service.reviews import Reviews
    from service.views import ChangeView, RevisionView

# What the service is doing, for a revision that is not done.
PROGRESS = {
    State.HELD: "This comes from a fork. Nothing of it is fetched or run until a reviewer lets it through.",
    State.RECEIVED: "The repository is being fetched, and base and head compared.",
    State.DIFFED: "The comparison is done. Base and head are being run side by side in the sandbox.",
    State.AUDITED: "Both are done. The review is being put together.",
}


class Tab(NamedTuple):
    """One page of a change."""

    name: str
    url: str
    note: str
    here: bool


class RevisionLink(NamedTuple):
    """Another revision of the same change."""

    n: int
    url: str
    here: bool
    state: str
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of a change's page."""

    name: str
    repository: str
    number: int | None
    outside: str
    author: str
    target: str
    base: str
    head: str
    digest: str
    state: State
    verdict: Verdict | None
    progress: str
    outdated_by: int | None
    root: str
    revisions: tuple[RevisionLink, ...]
    tabs: tuple[Tab, ...]


class Reading(NamedTuple):
    """A change and one of its revisions, as read for a page."""

    change: ChangeView
    revision: RevisionView


def read(reviews: Reviews, change_id: int, n: int | None) -> Reading:
    """The change and its revision ``n``, or the latest. NotFoundError if there is none."""
    change = reviews.change(change_id)
    return Reading(change, reviews.revision(change_id, change.latest.n if n is None else n))


def root(change_id: int, n: int) -> str:
    """The address of a revision's pages."""
    return f"/changes/{change_id}/revisions/{n}"


def open_findings(revision: RevisionView) -> int:
    """How many findings have no answer yet, or one that says the author must act."""
    return sum(
        finding["id"] not in revision.answers or revision.answers[finding["id"]].kind == "must-change"
        for finding in revision.findings
    )


def heading(reading: Reading, here: str) -> Heading:
    """The heading for the page named ``here``: one of the tabs, which are ``overview``, ``files``, ``threads``, …."""
    change, revision = reading
    at = root(change.id, revision.n)
    latest = change.latest.n
    return Heading(
        name=change.title,
        repository=change.repository,
        number=change.number,
        outside=outside_link(change.url),
        author=change.author,
        target=change.target_ref.removeprefix("refs/heads/"),
        base=revision.base_commit or "",
        head=revision.head_commit,
        digest=revision.digest or "",
        state=revision.state,
        verdict=revision.verdict,
        progress=PROGRESS.get(revision.state, ""),
        outdated_by=latest if revision.n != latest else None,
        root=at,
        revisions=tuple(
            RevisionLink(line.n, root(change.id, line.n), line.n == revision.n, line.state, line.verdict)
            for line in reversed(change.revisions)
        ),
        tabs=_tabs(revision, at, here),
    )


def _tabs(revision: RevisionView, at: str, here: str) -> tuple[Tab, ...]:
    files = (revision.diff or {}).get("files", ())
    viewed = sum(file["path"] in revision.viewed for file in files)
    unanswered = open_findings(revision)
    notes = {
        "overview": f"{unanswered} open" if unanswered else "",
        "files": f"{viewed} of {len(files)} viewed" if files else "",
        "behavior": "" if revision.audit is not None else "not run",
        "models": (revision.artifacts or {}).get("verdict", ""),
        "threads": _thread_note(revision),
        "sign": revision.state if revision.state in SIGNABLE - {State.READY} else "",
        "author": "",
    }
    names = {
        "overview": "Overview",
        "files": "Files",
        "threads": "Threads",
        "behavior": "Behavior",
        "models": "Models",
        "sign": "Sign-off",
        "author": "For the author",
    }
    urls = {
        "overview": at,
        "files": f"{at}/files",
        "threads": f"{at}/threads",
        "behavior": f"{at}/behavior",
        "models": f"{at}/models",
        "sign": f"{at}/sign",
        "author": f"/changes/{revision.change_id}/author",
    }
    return tuple(
        Tab(names[key], urls[key], notes[key], key == here)
        for key in names
        if key != "models" or revision.artifacts is not None or here == "models"
    )


def _thread_note(revision: RevisionView) -> str:
    said = revision.threads
    return f"{said.blocking} blocking" if said.blocking else f"{said.open} open" if said.open else ""
