# SPDX-License-Identifier: Apache-2.0
"""What the record of reviews says, as blocks of an annex.

A function that takes ``public`` names no person, change or repository where that is true; what the others give is
either without names or is not shown in the public edition.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from reports import words
from reports._annex_blocks import listed, table, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from evidence import Json

_APPROVING: Final = frozenset({"APPROVED", "APPROVED_WITH_CONDITIONS"})
_SEVERITIES: Final = ("critical", "high", "medium", "low", "info")
_UNKNOWN: Final = {
    "absent": "no evidence of that kind",
    "not-analysed": "files or parts that could not be analysed",
    "not-run": "probes or cells that were not run",
    "inconclusive": "cells that stayed inconclusive",
    "unsafe": "run outside the sandbox",
}


def standing(revision: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The sign-offs on a revision that no later one of the same person replaces."""
    return [one for one in revision["signoffs"] if not one["superseded"]]


def reviews(record: Mapping[str, Any]) -> list[Json]:
    """How many revisions there are, by verdict and by where they stand."""
    revisions, more = record["revisions"], []
    if record["unfinished"]:
        more.append(f"{words.count(record['unfinished'], 'review')} of this period had not ended and is not in here.")
    if record["earlier_signoffs"]:
        decided = words.count(record["earlier_signoffs"], "sign-off")
        more.append(f"{decided} of this period, on revisions that had arrived before it, is not in here either.")
    if not revisions:
        return [text("No review in this period is on record."), *map(text, more)]
    verdicts, states = Counter(map(_verdict, revisions)), Counter(one["state"] for one in revisions)
    return [
        *table(("Verdict of the review", "Revisions"), [(key, str(verdicts[key])) for key in sorted(verdicts)]),
        *table(("Where it stands", "Revisions"), [(key, str(states[key])) for key in sorted(states)]),
        *map(text, more),
    ]


def to_answer(record: Mapping[str, Any]) -> list[Json]:
    """What stands in the record against a plain positive."""
    revisions = record["revisions"]
    approved = [(one, [each for each in standing(one) if each["decision"] in _APPROVING]) for one in revisions]
    counts = {
        "approved although the review did not pass": sum(any(one["override"] for one in by) for _, by in approved),
        "approved in the expedited lane": sum(any(one["expedited"] for one in by) for _, by in approved),
        "approved with conditions": sum(any(one["conditions"] for one in by) for _, by in approved),
        "approved by somebody whose declaration of independence did not hold or is not at hand": sum(
            any(one["not_independent"] for one in by) for _, by in approved
        ),
        "with votes carried over from an earlier revision": sum(
            any(one["carried"] is not None for one in by) for _, by in approved
        ),
        "countersigned by a machine under a recipe": sum(
            one["build"] is not None and one["build"]["log_index"] is not None for one in revisions
        ),
        "run outside the sandbox": sum(one["unsafe"] for one in revisions),
        "that could not be reviewed": sum(one["error"] is not None for one in revisions),
    }
    lines = [f"{words.count(number, 'revision')} {what}" for what, number in counts.items() if number]
    incidents = record["incidents"]
    if incidents:
        unsettled = sum(one["settled"] is None for one in incidents)
        lines.append(f"{words.count(len(incidents), 'incident')}, {unsettled} of them open")
    none = f"Nothing on record of the kinds counted here: revisions {', '.join(counts)}; incidents."
    return listed(lines) or [text(none)]


def independence(record: Mapping[str, Any], *, public: bool) -> list[Json]:
    """Who signed, what they declare, and whether what their sign-offs name showed independence when they signed."""
    rows = []
    for number, person in enumerate(record["people"], 1):
        declared = person["declaration"]
        faults = Counter(
            one["not_independent"] or "independent by its own words"
            for each in record["revisions"]
            for one in each["signoffs"]
            if (one["person"], one["organization"]) == (person["id"], person["organization"])
        )
        found = "; ".join(f"{reason} ({words.count(faults[reason], 'sign-off')})" for reason in sorted(faults))
        rows.append(
            (
                f"reviewer {number}" if public else person["name"],
                person["organization"],
                "none for this platform" if declared is None else declared["digest"],
                "" if declared is None else f"{declared['signed_at'][:10]} until {declared['expires_at'][:10]}",
                found,
            )
        )
    return table(("Signed by", "Organisation", "Declaration now", "Counts", "When they signed"), rows)


def criteria(record: Mapping[str, Any], *, public: bool) -> list[Json]:
    """What was asked of every change, and the thresholds, with the panels and policies that fixed them."""
    panels = _spans((one["panel"]["digest"], one["received"]) for one in record["revisions"] if one["panel"])
    policies = _spans((one["policy"], one["signed"]) for each in record["revisions"] for one in each["signoffs"])
    margins = {(one["slice"], one["margin"]) for each in record["revisions"] for one in each["margins"]}
    named = [] if public else [(name, f"{margin:g}") for name, margin in sorted(margins)]
    return [
        *table(("Panel", "First used", "Last used"), panels, "Committed to in the log, salted, before each run:"),
        *table(("Policy in force", "First signed under", "Last signed under"), policies, "Named by every sign-off:"),
        *table(("Slice", "Margin of the ratio of exposure"), named),
    ]


def procedures(record: Mapping[str, Any]) -> list[Json]:
    """What was done with each revision: documents made and probes by how often they ran."""
    made = Counter(one["name"] for each in record["revisions"] for one in each["evidence"])
    probes: dict[str, Counter[str]] = {}
    for each in record["revisions"]:
        for name, status in each["probes"].items():
            probes.setdefault(name, Counter())[status] += 1
    explained = {
        "diff": "base and head compared as code, configuration, dependencies and capabilities",
        "artifacts": "model files of base and head compared inside",
        "audit": "base and head run side by side on a panel",
    }
    rows = [
        (name, str(found["run"]), str(sum(found.values()) - found["run"])) for name, found in sorted(probes.items())
    ]
    return [
        *table(
            ("Evidence", "What it is", "Revisions"), [(name, explained[name], str(made[name])) for name in sorted(made)]
        ),
        *table(("Probe", "Run", "Not run"), rows),
    ]


def changes_of_method(record: Mapping[str, Any]) -> list[Json]:
    """Versions of the programs, panels and policies that came and went: changes of method have to be disclosed."""
    rows = [
        *_named("program", _spans((f"Countersign {one['version']}", one["received"]) for one in _audited(record))),
        *_named("panel", _spans((one["panel"]["digest"], one["received"]) for one in _audited(record))),
        *_named(
            "policy", _spans((one["policy"], one["signed"]) for each in record["revisions"] for one in each["signoffs"])
        ),
    ]
    changed = len(rows) > len({row[0] for row in rows})
    before = "What changed within the period:" if changed else "Nothing of these changed within the period:"
    return table(("What", "Which", "From", "Until"), rows, before)


def results(record: Mapping[str, Any], *, public: bool) -> list[Json]:
    """Every revision: what was found, what its cells came to, who decided what, and where that is logged.

    The public edition has verdicts alone: what a platform may know of an audit is no more.
    """
    rows = []
    for one in record["revisions"]:
        row = [one["received"][:10], one["digest"] or "no manifest", _verdict(one), _decisions(one)]
        if not public:
            named = f"{one['repository']}: {one['title']} ({_which(one)}), {one['head_commit']}"
            row[1:1] = [named]
            row += [_counted(one["findings"], _SEVERITIES), _counted(one["cells"])]
        rows.append(row)
    columns = ["Received", "Revision", "Verdict", "Decisions"]
    if not public:
        columns = ["Received", "Change", *columns[1:], "Findings", "Primary cells"]
    return table(columns, rows) or reviews(record)


def evidence(record: Mapping[str, Any]) -> list[Json]:
    """The documents relied on, by digest."""
    rows = [
        (one["digest"] or "", each["name"], each["digest"], each["made"] or "", "yes" if each["logged"] else "no")
        for one in record["revisions"]
        for each in one["evidence"]
    ]
    return table(("Revision", "Document", "Digest", "Made", "In the log"), rows)


def assurance(record: Mapping[str, Any]) -> list[Json]:
    """How far the reviews reach: coverage by the reviewers, and what the evidence cannot speak for."""
    signed = [each for one in record["revisions"] for each in standing(one)]
    files, viewed = sum(one["files"] for one in signed), sum(one["viewed"] for one in signed)
    findings, answered = sum(one["findings"] for one in signed), sum(one["answered"] for one in signed)
    unknown: Counter[str] = Counter()
    for one in record["revisions"]:
        unknown.update(one["unknown"].keys())
    seen = (
        f"Over all sign-offs that stand, {viewed} of {files} changed files were viewed and {answered} of {findings} "
        "findings, of any weight, answered."
    )
    rows = [(_UNKNOWN[kind], str(number)) for kind, number in sorted(unknown.items())]
    return [
        *([text(seen)] if signed else []),
        *table(("What the evidence cannot speak for", "Revisions with it"), rows),
    ]


def not_inspected(record: Mapping[str, Any]) -> list[Json]:
    """What reviewers said that they did not inspect, in their words."""
    found = ((one, line) for one in record["revisions"] for each in standing(one) for line in each["not_inspected"])
    return listed(dict.fromkeys(f"{_which(one)}: {line}" for one, line in found))


def environment(record: Mapping[str, Any]) -> list[Json]:
    """Where the versions ran."""
    audited = list(_audited(record))
    unsafe = sum(one["unsafe"] for one in audited)
    inside = words.count(len(audited) - unsafe, "revision")
    said = (
        f"Base and head of {inside} ran in a sandbox without a network, those of {unsafe} outside of one; on panels of "
        "recorded requests, not on live traffic."
    )
    differs = "Where production differs from that, what is said here may not hold there (Art. 2(7))."
    return [text(f"{said} {differs}")] if audited else []


def notable_changes(record: Mapping[str, Any]) -> list[Json]:
    """The changes that were signed for: what the system became within the period."""
    signed = [one for one in record["revisions"] if any(each["decision"] in _APPROVING for each in standing(one))]
    return listed(f"{one['received'][:10]} {one['repository']}: {one['title']}" for one in signed)


def _place(log_index: int | None) -> str:
    return "not logged yet" if log_index is None else str(log_index)


def incidents(record: Mapping[str, Any], *, public: bool) -> list[Json]:
    """Rollouts without a decision, and the other way round."""
    rows = [
        (one["opened"][:10], one["kind"], *(() if public else (one["detail"],)), _place(one["log_index"]),
         "open" if one["settled"] is None else f"settled {one['settled'][:10]}")
        for one in record["incidents"]
    ]  # fmt: skip
    return table(("Opened", "Kind", *(() if public else ("What",)), "Log entry", "Now"), rows)


def _verdict(one: Mapping[str, Any]) -> str:
    if one["verdict"] is not None:
        return str(one["verdict"])
    if one["error"] is not None:
        return "could not be reviewed"
    return "outside of what is reviewed" if one["state"] == "outside" else "superseded before its review had ended"


def _decisions(one: Mapping[str, Any]) -> str:
    said = [
        f"{each['decision']}, log entry {each['log_index']}"
        + ("" if each["carried"] is None else f", carried over by entry {each['carried']}")
        for each in one["signoffs"]
    ]
    build = one["build"]
    if build is not None and build["log_index"] is not None:
        said.append(f"build {build['number']} countersigned under a recipe, log entry {build['log_index']}")
    elif build is not None:
        said.append("a build outside of its recipe")
    return "; ".join(said) or "none"


def _which(one: Mapping[str, Any]) -> str:
    return f"change {one['change']}, revision {one['revision']}"


def _audited(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (one for one in record["revisions"] if one["panel"] is not None)


def _spans(found: Iterable[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Of each name the first and the last day, in order of the first."""
    days: dict[str, list[str]] = {}
    for name, moment in found:
        days.setdefault(name, []).append(moment[:10])
    return sorted(((name, min(each), max(each)) for name, each in days.items()), key=lambda row: (row[1], row[0]))


def _named(what: str, rows: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str, str]]:
    return [(what, *row) for row in rows]


def _counted(counts: Mapping[str, int], only: Sequence[str] | None = None) -> str:
    names = only if only is not None else sorted(counts)
    return ", ".join(f"{counts[name]} {name}" for name in names if counts.get(name)) or "none"
