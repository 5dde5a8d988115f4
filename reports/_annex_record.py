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
    revisions = record["revisions"]
    if not revisions:
        return [text("No review in this period is on record.")]
    verdicts = Counter(one["verdict"] or "could not be reviewed" for one in revisions)
    states = Counter(one["state"] for one in revisions)
    return [
        *table(("Verdict of the review", "Revisions"), [(key, str(verdicts[key])) for key in sorted(verdicts)]),
        *table(("Where it stands", "Revisions"), [(key, str(states[key])) for key in sorted(states)]),
    ]


def to_answer(record: Mapping[str, Any]) -> list[Json]:
    """What stands in the record against a plain positive."""
    revisions = record["revisions"]
    approved = [(one, [each for each in standing(one) if each["decision"] in _APPROVING]) for one in revisions]
    undeclared = {one["id"] for one in record["people"] if one["declaration"] is None or one["declaration"]["conflict"]}
    counts = {
        "approved although the review did not pass": sum(any(one["override"] for one in by) for _, by in approved),
        "approved in the expedited lane": sum(any(one["expedited"] for one in by) for _, by in approved),
        "approved with conditions": sum(any(one["conditions"] for one in by) for _, by in approved),
        "approved by somebody without a declaration of independence for this platform that held": sum(
            any(one["person"] in undeclared for one in by) for _, by in approved
        ),
        "run outside the sandbox": sum(one["unsafe"] for one in revisions),
        "could not be reviewed": sum(one["error"] is not None for one in revisions),
    }
    lines = [f"{words.count(number, 'revision')} {what}" for what, number in counts.items() if number]
    incidents = record["incidents"]
    if incidents:
        unsettled = sum(one["settled"] is None for one in incidents)
        lines.append(f"{words.count(len(incidents), 'incident')}, {unsettled} of them open")
    none = "Nothing on record of the kinds counted here: overrides, hurry, conditions, missing declarations, failures."
    return listed(lines) or [text(none)]


def independence(people: Sequence[Mapping[str, Any]], *, public: bool) -> list[Json]:
    """Who signed and what they declared."""
    rows = []
    for number, person in enumerate(people, 1):
        who, declared = f"reviewer {number}" if public else person["name"], person["declaration"]
        if declared is None:
            rows.append((who, person["organization"], "none for this platform on record", "", ""))
        else:
            counts = f"{declared['signed_at'][:10]} until {declared['expires_at'][:10]}"
            held = declared["conflict"] or "by its own words independent whenever they signed"
            rows.append((who, person["organization"], declared["digest"], counts, held))
    return table(("Signed by", "Organisation", "Declaration", "Counts", "What it comes to"), rows)


def criteria(record: Mapping[str, Any], *, public: bool) -> list[Json]:
    """What was asked of every change, and the thresholds, with the panels and policies that fixed them."""
    panels = _spans((one["panel"]["digest"], one["received"]) for one in record["revisions"] if one["panel"])
    policies = _spans((one["policy"], one["signed"]) for each in record["revisions"] for one in each["signoffs"])
    margins = sorted({(one["slice"], one["margin"]) for each in record["revisions"] for one in each["margins"]})
    named = [] if public else [(name, f"{margin:g}") for name, margin in margins]
    widest = f"Margins of {len(margins)} slices: {margins_text(margins)}." if margins else ""
    return [
        *table(("Panel", "First used", "Last used"), panels, "Committed to in the log before each run:"),
        *table(("Policy in force", "First signed under", "Last signed under"), policies, "Named by every sign-off:"),
        *([text(widest)] if widest and public else []),
        *table(("Slice", "Margin of the ratio of exposure"), named),
    ]


def margins_text(margins: Iterable[tuple[str, float]]) -> str:
    """The range of margins in words."""
    values = [margin for _, margin in margins]
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


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
        "audit": "base and head run side by side on a panel that the platform does not know, in a sandbox",
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
    """Every revision: what was found, what its cells came to, who decided what, and where that is logged."""
    rows = []
    for one in record["revisions"]:
        what = one["digest"] or one["head_commit"]
        title = (
            ()
            if public
            else (f"{one['repository']}: {one['title']} (change {one['change']}, revision {one['revision']})",)
        )
        findings = _counted(one["findings"], ("critical", "high", "medium"))
        decisions = "; ".join(f"{each['decision']}, log entry {each['log_index']}" for each in one["signoffs"])
        verdict = one["verdict"] or f"could not be reviewed: {one['error']}"
        rows.append(
            (one["received"][:10], *title, what, verdict, findings, _counted(one["cells"]), decisions or "none")
        )
    title = () if public else ("Change",)
    columns = ("Received", *title, "Revision", "Verdict", "Findings", "Primary cells", "Decisions")
    return table(columns, rows) or reviews(record)


def evidence(record: Mapping[str, Any]) -> list[Json]:
    """The documents relied on, by digest."""
    rows = [
        (one["digest"] or "", each["name"], each["digest"], each["made"] or "")
        for one in record["revisions"]
        for each in one["evidence"]
    ]
    return table(("Revision", "Document", "Digest", "Made"), rows)


def assurance(record: Mapping[str, Any]) -> list[Json]:
    """How far the reviews reach: coverage by the reviewers, and what the evidence cannot speak for."""
    signed = [each for one in record["revisions"] for each in standing(one)]
    files, viewed = sum(one["files"] for one in signed), sum(one["viewed"] for one in signed)
    findings, answered = sum(one["findings"] for one in signed), sum(one["answered"] for one in signed)
    unknown: Counter[str] = Counter()
    for one in record["revisions"]:
        unknown.update(one["unknown"].keys())
    seen = [text(f"Reviewers viewed {viewed} of {files} changed files and answered {answered} of {findings} findings "
                 "that needed an answer, over all sign-offs that stand.")] if signed else []  # fmt: skip
    rows = [(_UNKNOWN[kind], str(number)) for kind, number in sorted(unknown.items())]
    return [*seen, *table(("What the evidence cannot speak for", "Revisions with it"), rows)]


def not_inspected(record: Mapping[str, Any]) -> list[Json]:
    """What reviewers said that they did not inspect, in their words."""
    found = (each for one in record["revisions"] for each in standing(one))
    return listed(dict.fromkeys(line for each in found for line in each["not_inspected"]))


def notable_changes(record: Mapping[str, Any]) -> list[Json]:
    """The changes that were signed for: what the system became within the period."""
    signed = [one for one in record["revisions"] if any(each["decision"] in _APPROVING for each in standing(one))]
    return listed(f"{one['received'][:10]} {one['repository']}: {one['title']}" for one in signed)


def incidents(record: Mapping[str, Any], *, public: bool) -> list[Json]:
    """Rollouts without a decision, and the other way round."""
    rows = [
        (one["opened"][:10], one["kind"], *(() if public else (one["detail"],)), str(one["log_index"]),
         "open" if one["settled"] is None else f"settled {one['settled'][:10]}")
        for one in record["incidents"]
    ]  # fmt: skip
    return table(("Opened", "Kind", *(() if public else ("What",)), "Log entry", "Now"), rows)


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
