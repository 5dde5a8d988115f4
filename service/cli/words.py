# SPDX-License-Identifier: Apache-2.0
"""Documents as text for a terminal. Nothing from a change reaches it as anything but printable characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import visible

if TYPE_CHECKING:
    from evidence import Json


def diff_text(document: Json) -> str:
    """A diff document: verdict, findings worst first, files, what was not analysed."""
    base, head = document["base"]["commit"][:12], document["head"]["commit"][:12]
    lines = [f"{document['verdict']}: {base}..{head}, {_count(len(document['files']), 'file')}", ""]
    lines += _findings(document["findings"])
    for file in document["files"]:
        name = file["path"] if file["old_path"] is None else f"{file['old_path']} -> {file['path']}"
        quiet = ", no change of meaning" if file["syntax_equal"] else ""
        lines.append(f"  {file['status']:<9} {visible(name)}  +{file['lines_added']} -{file['lines_removed']}{quiet}")
    for entry in document["not_analysed"]:
        lines.append(f"  not analysed: {visible(entry['path'])}: {visible(entry['reason'])}")
    return "\n".join(lines) + "\n"


def audit_text(document: Json) -> str:
    """An audit document: verdict, findings, the primary cells that are not equivalent, what did not run."""
    panel = document["panel"]
    lines = [
        f"{document['verdict']}: panel {visible(panel['name'])}, {panel['users']} users",
        "",
    ]
    lines += _findings(document["findings"])
    shown = [cell for cell in document["cells"] if cell["family"] == "primary" and cell["verdict"] != "equivalent"]
    for cell in shown:
        cohort = ", ".join(f"{name}={value}" for name, value in cell["cohort"].items()) or "everybody"
        lines.append(f"  {cell['verdict']:<12} {visible(cell['slice'])} for {visible(cohort)}: {_ratio(cell)}")
    quiet = sum(cell["family"] == "primary" for cell in document["cells"]) - len(shown)
    lines.append(f"  {_count(quiet, 'primary cell')} equivalent")
    for probe in document["probes"]:
        if probe["status"] != "run":
            lines.append(f"  not run: {probe['name']}: {visible(probe['reason'] or '')}")
    return "\n".join(lines) + "\n"


def _findings(findings: list[Json]) -> list[str]:
    lines = []
    for finding in findings:
        place = finding["location"]
        where = f"  ({place['path']}{':' + str(place['line']) if place['line'] else ''})" if place else ""
        lines.append(f"  {finding['severity']:<8} {finding['rule']}: {visible(finding['title'])}{visible(where)}")
    return [*lines, ""] if lines else lines


def _ratio(cell: Json) -> str:
    if cell["ratio"] is None:
        return "no ratio, base shows none of it"
    low, high = cell["ratio_low"], cell["ratio_high"]
    interval = f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else ""
    return f"ratio {cell['ratio']:.3f}{interval}, margin {cell['margin']}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
