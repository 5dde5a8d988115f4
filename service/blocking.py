# SPDX-License-Identifier: Apache-2.0
"""What keeps a change from going out, who has to do what, in words for the platform: nothing of the panel is in them.

It rests on what a submitter may see anyway: the state, the error's public line, the diff, the public part of the audit,
published threads. How many findings the audit has is not told, nor what a reviewer wrote to a finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sqlalchemy import select

from evidence import Severity, Verdict
from service import discussion, judgement, reading
from service.database import AnswerRow
from service.life import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from service.context import Context
    from service.database import RevisionRow
    from service.discussion import Thread

Who = Literal["author", "reviewer", "service"]

_MOST = 50  # findings and threads that are named, of each
_LONGEST = 300  # characters of a comment that are quoted

_NEVER = "Push another revision; votes and answers of this one do not count for it."
_STATES: Mapping[State, tuple[Who, str, str]] = {
    State.HELD: (
        "reviewer",
        "It comes from a fork, and nothing of it is fetched or run yet.",
        "Wait: a reviewer decides whether this revision is reviewed.",
    ),
    State.RECEIVED: ("service", "It is being fetched and compared.", "Wait: this takes minutes."),
    State.DIFFED: ("service", "Base and head are being run side by side.", "Wait: this takes minutes."),
    State.AUDITED: ("service", "The review is being put together.", "Wait: this takes a moment."),
    State.REJECTED: ("author", "A reviewer has rejected this revision.", _NEVER),
    State.REVOKED: ("author", "An approval of this revision was taken back.", _NEVER),
    State.EXPIRED: ("reviewer", "The sign-offs on this revision have run out.", "Ask for new ones, or push it again."),
}


class Block(NamedTuple):
    """One thing that blocks: whose turn it is, what it is, where, and what is to be done. ``where`` may be empty."""

    who: Who
    what: str
    where: str
    do: str
    thread: int | None = None  # its id, for an answer by the API


@dataclass(frozen=True, slots=True)
class Blocked:
    """What blocks a change at its latest revision, the author's turns first; nothing where it may go out."""

    n: int
    state: State
    verdict: Verdict | None
    blocks: tuple[Block, ...]


def blocking(context: Context, change_id: int) -> Blocked:
    """What blocks a change. NotFoundError if there is none."""
    n = reading.change(context.database, change_id).latest.n
    row = judgement.find(context, change_id, n)
    order = ("author", "reviewer", "service")
    found = sorted(_blocks(context, row), key=lambda block: order.index(block.who))
    return Blocked(n, State(row.state), Verdict(row.verdict) if row.verdict else None, tuple(found))


def _blocks(context: Context, row: RevisionRow) -> Iterator[Block]:
    state = State(row.state)
    if state is State.FAILED:
        yield Block("author", row.error_public or "It could not be reviewed.", "", "Put that right, and push it again.")
    elif state is State.READY:
        found = [*_findings(context, row), *_audit(context, row), *_threads(context, row)]
        yield from found
        if not found and row.verdict not in {None, Verdict.PASS}:
            yield Block("reviewer", f"The review came to {row.verdict}.", "", "Ask the reviewer what would settle it.")
        yield Block("reviewer", "It is not signed off.", "", "Wait: a reviewer reads and signs it.")
    elif state in _STATES:
        who, what, do = _STATES[state]
        yield Block(who, what, "", do)


def _findings(context: Context, row: RevisionRow) -> Iterator[Block]:
    """Findings of the diff: those that must change, and the heavy ones without an answer; of others that there are."""
    with context.database.read() as session:
        answers = session.execute(select(AnswerRow.finding_id, AnswerRow.kind).where(AnswerRow.revision_id == row.id))
        kinds = {answer.finding_id: answer.kind for answer in answers}
    diff = context.store.get_json(row.diff_digest) if row.diff_digest else {"findings": []}
    must = [finding for finding in diff["findings"] if kinds.get(finding["id"]) == "must-change"]
    heavy = [
        finding
        for finding in diff["findings"]
        if finding["id"] not in kinds and Severity(finding["severity"]).at_least(Severity.HIGH)
    ]
    for finding in must[:_MOST]:
        yield Block("author", finding["title"], _where(finding), "Change it, and push a new revision.")
    for finding in heavy[:_MOST]:
        do = "Change it, or say in the description or a thread why it is right: a reviewer answers it."
        yield Block("reviewer", finding["title"], _where(finding), do)
    known = {finding["id"] for finding in diff["findings"]}
    if any(kind == "must-change" and name not in known for name, kind in kinds.items()):
        what = "A reviewer wants something changed that the code alone does not show."
        yield Block("author", what, "", "Ask what: it may only be said in a thread.")


def _audit(context: Context, row: RevisionRow) -> Iterator[Block]:
    if row.public_digest is None:
        return
    public = context.store.get_json(row.public_digest)
    if public["error_class"]:
        what = f"The recommender failed under audit: {public['error_class']}."
        yield Block("author", what, "", "Try it with countersign audit on a panel of your own, and push again.")
    for moved in public["slices"]:
        what = f"{moved['slice']} is {moved['direction']} beyond its margin."
        yield Block("author", what, "", "Push a revision that does not move it, or say in a thread why it should.")
    if public["verdict"] == Verdict.FAIL and not public["slices"]:
        what = "Content moved beyond a margin of the panel. Which, the panel keeps."
        yield Block("author", what, "", "Ask the reviewer what may be said of it.")
    elif public["verdict"] == Verdict.INCONCLUSIVE and not public["error_class"]:
        what = "The audit could not tell whether content is moved beyond a margin."
        yield Block("reviewer", what, "", "Ask the reviewer what would settle it: more users, or a rebuild.")


def _threads(context: Context, row: RevisionRow) -> Iterator[Block]:
    open_ = [
        thread for thread in discussion.threads(context, row.change_id, row.n, None) if thread.open and thread.blocking
    ]
    for thread in open_[:_MOST]:
        first, last = thread.comments[0], thread.comments[-1]
        do = f"Answer thread {thread.id}, or push a revision that settles it; a reviewer resolves it."
        answered = "You have answered: a reviewer resolves it, or asks again."
        yield Block(
            who="reviewer" if last.by_platform else "author",
            what=first.text if len(first.text) <= _LONGEST else f"{first.text[: _LONGEST - 1]}…",
            where=_stands(thread),
            do=answered if last.by_platform else do,
            thread=thread.id,
        )


def _stands(thread: Thread) -> str:
    spot = thread.spot or thread.begun
    line = f":{spot.line}" if spot.line is not None else ""
    outdated = f" in revision {thread.n}" if thread.spot is None else ""
    return f"{spot.path}{line}{outdated}" if spot.path else "the change as a whole"


def _where(finding: Mapping[str, Any]) -> str:
    location = finding.get("location") or {}
    path, line = location.get("path") or "", location.get("line")
    return f"{path}:{line}" if path and line else path
