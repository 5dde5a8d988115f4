# SPDX-License-Identifier: Apache-2.0
"""Check runs of a GitHub App: a revision's standing, a summary, and what the diff found at its lines.

https://docs.github.com/en/rest/checks/runs. Whoever reads a check run is the submitter: it has what the API shows to a
submitter, the diff and the public part of the audit, and nothing of the panel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from evidence import Severity
from reports import visible
from reports.markdown import code
from service.outward import UnansweredError, exchanged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evidence import Json

BATCH = 50  # annotations that GitHub takes in one request
MOST = 500  # annotations altogether: nobody reads more
_LEVELS = {
    Severity.INFO: "notice",
    Severity.LOW: "notice",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "failure",
    Severity.CRITICAL: "failure",
}
_MAX_TITLE = 250
_MAX_MESSAGE = 4000
_OK, _CREATED = 200, 201


@dataclass(frozen=True, slots=True)
class Check:
    """What a check run says. ``conclusion`` is None while the review goes on; ``external_id`` names the revision."""

    name: str
    head: str
    external_id: str
    url: str
    conclusion: str | None
    title: str
    summary: str
    annotations: tuple[Json, ...] = ()


def noted(diff: Mapping[str, Any]) -> tuple[Json, ...]:
    """The findings of a diff that are at a line of head, worst first, at most ``MOST``."""
    found = sorted(
        (one for one in diff["findings"] if one["location"]["side"] == "head" and one["location"].get("line")),
        key=lambda one: (-Severity(one["severity"]).rank, one["location"]["path"], one["location"]["line"], one["id"]),
    )
    return tuple(
        {
            "path": one["location"]["path"],
            "start_line": one["location"]["line"],
            "end_line": one["location"].get("end_line") or one["location"]["line"],
            "annotation_level": _LEVELS[Severity(one["severity"])],
            "title": visible(f"{one['severity']} {one['rule']}: {one['title']}")[:_MAX_TITLE],
            "message": visible(one["detail"] or one["title"])[:_MAX_MESSAGE],
        }
        for one in found[:MOST]
    )


def summary(verdict: str | None, diff: Mapping[str, Any] | None, public: Mapping[str, Any] | None, url: str) -> str:
    """What a submitter may know, as Markdown; foreign names are in code spans."""
    lines = []
    if verdict is not None:
        lines.append(f"**{verdict}**: a machine's verdict. The decision is the reviewer's.")
    if diff is not None:
        counts = dict.fromkeys(reversed(Severity), 0)
        for one in diff["findings"]:
            counts[Severity(one["severity"])] += 1
        told = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count) or "nothing"
        lines.append(f"**What changed** ({diff['verdict']}): {len(diff['files'])} files; rules found {told}.")
        if diff["not_analysed"]:
            lines.append(f"Not analysed: {len(diff['not_analysed'])} files.")
    if public is not None:
        moved = ", ".join(f"{code(one['slice'])} {one['direction']}" for one in public["slices"])
        lines.append(f"**What it does** ({public['verdict']}){f': {moved}' if moved else ''}.")
    lines.append(f"[The review]({url})")
    return "\n\n".join(lines) + "\n"


def publish(api: str, repository: str, check: Check, headers: Mapping[str, str], *, private: bool) -> tuple[int, float]:
    """Create the check run, or bring the one that is there up to date; returns the last status and Retry-After.

    Done again it changes nothing: the run is found by its external id, and GitHub counts the annotations that it has.

    Raises:
        UnansweredError: GitHub does not answer, or not as its documentation says.
    """
    runs = f"{api.rstrip('/')}/repos/{quote(repository)}/check-runs"
    found = exchanged("GET", _seek(api, repository, check.name, check.head), None, headers=headers, private=private)
    if found.status != _OK:
        return found.status, found.wait
    known, has, _ = _known(found.document, check.external_id)
    batches = _batches(check.annotations[has:])
    answer = found
    for position, batch in enumerate(batches):
        first = known is None and position == 0
        where = runs if first else f"{runs}/{known}"
        answer = exchanged("POST" if first else "PATCH", where, _body(check, batch), headers=headers, private=private)
        if answer.status not in {_OK, _CREATED}:
            break
        if first:
            known = _id(answer.document)
    return answer.status, answer.wait


def published(
    api: str,
    repository: str,
    check: tuple[str, str, str],
    conclusion: str | None,
    headers: Mapping[str, str],
    *,
    private: bool,
) -> bool:
    """Whether GitHub has the check run of that name, commit and external id, with this conclusion. Raises as above."""
    name, head, external_id = check
    where = _seek(api, repository, name, head)
    found = exchanged("GET", where, None, headers=headers, private=private)
    if found.status != _OK:
        raise UnansweredError(f"{where[:200]}: HTTP {found.status}")
    known, _, concluded = _known(found.document, external_id)
    return known is not None and concluded == conclusion


def _seek(api: str, repository: str, name: str, head: str) -> str:
    runs = f"{api.rstrip('/')}/repos/{quote(repository)}/commits/{head}/check-runs"
    return f"{runs}?check_name={quote(name, safe='')}&filter=all&per_page=100"


def _batches(rest: Sequence[Json]) -> list[Sequence[Json]]:
    return [rest[start : start + BATCH] for start in range(0, max(1, len(rest)), BATCH)]


def _body(check: Check, batch: Sequence[Json]) -> Json:
    body: dict[str, Json] = {
        "name": check.name,
        "head_sha": check.head,
        "external_id": check.external_id,
        "details_url": check.url,
        "status": "in_progress" if check.conclusion is None else "completed",
        "output": {"title": check.title, "summary": check.summary, "annotations": list(batch)},
    }
    if check.conclusion is not None:
        body["conclusion"] = check.conclusion
    return body


def _known(document: Json, external_id: str) -> tuple[int | None, int, Json]:
    """The run's id, how many annotations it has, and its conclusion; (None, 0, None) if there is none."""
    listed = document.get("check_runs") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise UnansweredError("GitHub's list of check runs is none")
    for one in listed:
        if isinstance(one, dict) and one.get("external_id") == external_id:
            output = one.get("output")
            count = output.get("annotations_count") if isinstance(output, dict) else 0
            return _id(one), count if isinstance(count, int) else 0, one.get("conclusion")
    return None, 0, None


def _id(document: Json) -> int:
    found = document.get("id") if isinstance(document, dict) else None
    if not isinstance(found, int):
        raise UnansweredError("GitHub does not say which check run it is")
    return found
