# SPDX-License-Identifier: Apache-2.0
"""Documents as text for a terminal. Nothing from a change reaches it as anything but printable characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import reports
from reports import visible

if TYPE_CHECKING:
    from evidence import Json

_VALUES = 12  # of a column that are shown


def model_diff_text(document: Json) -> str:
    """A model-diff document: verdict, findings worst first, then every tensor that is not the same, and who made it."""
    tensors = document["tensors"]
    changed = [tensor for tensor in tensors if tensor["status"] != "same" or tensor.get("old_name")]
    lines = [f"{document['verdict']}: {_count(len(tensors), 'tensor')}, {len(changed)} of them changed", ""]
    lines += _findings(document["findings"])
    for tensor in changed:
        lines.append(f"  {tensor['status']:<8} {visible(tensor['name'])}  {_tensor(tensor)}")
        aligned = tensor.get("aligned") or {}
        listed = aligned.get("outlier_rows") or tensor["outlier_rows"]
        rows = ", ".join(f"{visible(row.get('id') or str(row['row']))} ({row['score']:.3g})" for row in listed[:10])
        lines += [f"           rows out of line, most first: {rows}"] if rows else []
        lines += [f"           {_moved(group)}" for group in aligned.get("groups", ())]
    lines += [f"  by the weights alone: {_exposed(group)}" for group in (document.get("heads") or {}).get("groups", ())]
    lines += [f"  {visible(line)}" for line in reports.model_view(document, "").made]
    return "\n".join(lines) + "\n"


def _moved(group: Json) -> str:
    """How far a group of rows went across a retrain, in robust deviations."""
    along = group["towards"]
    way = (
        ""
        if along is None
        else f", {abs(along):.1f} robust deviations {'away from' if along < 0 else 'towards'} the centre"
    )
    return f"{visible(group['name'])}: {_count(group['rows'], 'row')}, moved by {group['score']:+.1f}{way}"


def _exposed(group: Json) -> str:
    times = "" if group["ratio"] is None else f", {group['ratio']:.2f} times"
    return f"{visible(group['name'])} has {group['base_share']:.2%} → {group['head_share']:.2%} of the exposure{times}"


def _tensor(tensor: Json) -> str:
    old, new = (
        f"{tensor[f'{side}_dtype']} {'x'.join(map(str, tensor[f'{side}_shape']))}"
        if tensor[f"{side}_shape"] is not None
        else None
        for side in ("old", "new")
    )
    shape = visible(old or new or "") if old == new or None in (old, new) else visible(f"{old} -> {new}")
    numbers = {"relative L2": "relative_l2", "cosine": "cosine", "largest change": "max_abs", "share": "changed_share"}
    measured = [f"{word} {tensor[name]:.4g}" for word, name in numbers.items() if tensor[name] is not None]
    return ", ".join([shape, *measured])


def data_diff_text(document: Json) -> str:
    """A data-diff document: verdict, both sides in a line each, findings worst first, the values with most rows."""
    roles = ", ".join(f"{role} {visible(column)}" for role, column in document["columns"]["roles"].items())
    lines = [f"{document['verdict']}: columns {roles or 'of no known name: name them'}", ""]
    for side in ("base", "head"):
        one = document[side]
        people = [f"{one[name]:,} {name}" for name in ("users", "items") if one[name] is not None]
        span = f"{one['from']} to {one['to']}" if one["from"] else "no times"
        told = ", ".join([f"{one['rows']:,} rows", *people, span, f"{one['duplicates']:.2%} there more than once"])
        lines.append(f"  {side}  {told}")
    if document["users"]:
        lines.append(f"  users: {document['users']['gained']:,} gained, {document['users']['lost']:,} lost")
    lines.append("")
    lines += _findings(document["findings"])
    for column, values in document["values"].items():
        lines.append(f"  {visible(column)}: rows before and now")
        lines += [
            f"    {visible(name) or '(missing)'}  {counts['old']:,} → {counts['new']:,}"
            for name, counts in list(values.items())[:_VALUES]
        ]
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
        lines.append(f"  {cell['verdict']:<12} {visible(cell['slice'])} for {visible(_cohort(cell))}: {_ratio(cell)}")
    quiet = sum(cell["family"] == "primary" for cell in document["cells"]) - len(shown)
    lines.append(f"  {_count(quiet, 'primary cell')} equivalent")
    for cell in document["cells"]:
        if cell["family"] == "exploratory":
            lines.append(
                f"  {cell['verdict']:<12} {visible(cell['slice'])} for {visible(_cohort(cell))}, by {cell['probe']}:"
                f" {_ratio(cell)}"
            )
    for probe in document["probes"]:
        if probe["status"] != "run":
            lines.append(f"  not run: {probe['name']}: {visible(probe['reason'] or '')}")
    return "\n".join(lines) + "\n"


def absolute_text(document: Json) -> str:
    """An absolute document: for each ranking, what everybody gets more or less of, largest first."""
    lines = [f"absolute: panel {visible(document['panel']['name'])}; nothing here passes or fails", ""]
    lines += _findings(document["findings"])
    for baseline in document["baselines"]:
        lines.append(f"against {baseline['name']} ({visible(baseline['explained'])})")
        if baseline["status"] != "run":
            lines.append(f"  not run: {visible(baseline['reason'])}")
        cells = [cell for cell in baseline["cells"] if cell["family"] == "primary" and not cell["cohort"]]
        for cell in sorted(cells, key=lambda cell: -abs(cell["difference"])):
            share = f"{cell['base_share']:.2%} to {cell['head_share']:.2%}"
            lines.append(f"  {visible(cell['slice'])}: {share}, {_ratio(cell)}")
    return "\n".join(lines) + "\n"


def power_text(document: Json) -> str:
    """A power document: what the ratios are of, then one line a cell."""
    panel, churned = document["panel"], bool(document["rebuilds"])
    lines = [
        f"panel {visible(panel['name'])}, {panel['users']:,} users: the smallest ratio found with 80 % probability",
        "from base alone: of the sampling of users; give --base-rebuild for the churn of items"
        if not churned
        else f"of the sampling of users, and of the churn of items by {_count(len(document['rebuilds']), 'rebuild')}",
        "",
    ]
    heads = ["family", "slice", "cohort", "users", "share", "sampling", *(["churn"] if churned else []), "margin"]
    heads += ["users needed", *(["builds needed"] if churned else []), ""]
    rows = [heads, *(_power_row(cell, churned=churned) for cell in document["cells"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads) - 1)]
    for row in rows:
        padded = [
            field.ljust(width) if column < 3 else field.rjust(width)  # noqa: PLR2004 - the first three are words
            for column, (field, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join([*padded, row[-1]]).rstrip())
    return "\n".join(lines) + "\n"


def label_text(document: Json) -> str:
    """A label's document: what it was learnt from, how good it is out of fold, and the calibration curve."""
    examples, items, quality = document["examples"], document["items"], document["quality"]
    share = examples["true"] / (examples["true"] + examples["false"])
    kinds = f"{examples['true']:,} true and {examples['false']:,} false examples in {examples['groups']:,} groups"
    precision = f"average precision {quality['average_precision']:.3f} ({share:.3f} by chance)"
    known = f"{items['known_words']:.0%} of the items', {examples['known_words']:.0%} of the examples'"
    lines = [
        f"label {visible(document['column'])}: learnt from {kinds}, {document['folds']} folds",
        f"{precision}, ROC AUC {quality['roc_auc']:.3f}, Brier {quality['brier']:.3f}, out of fold",
        f"words met in training: {known}",
        f"mean label {items['mean']:.3f}; a lift shows at about {items['discrimination']:.0%} of its size",
        f"{_count(items['without_text'], 'item')} without text, {items['among_examples']:,} among the examples",
        "",
        "   label    true  examples",
    ]
    lines += [f"  {one['label']:6.3f}  {one['share']:6.3f}  {one['examples']:8,}" for one in quality["curve"]]
    return "\n".join(lines) + "\n"


def _power_row(cell: Json, *, churned: bool) -> list[str]:
    cohort = ", ".join(f"{name}={value}" for name, value in cell["cohort"].items()) or "everybody"
    row = [cell["family"], visible(cell["slice"]), visible(cohort), f"{cell['users']:,}", f"{cell['base_share']:.4f}"]
    row += [_figure(cell["sampling_ratio"]), *([_figure(cell["churn_ratio"])] if churned else [])]
    row += [f"{cell['margin']:.2f}", _whole(cell["users_for_margin"])]
    return [*row, *([_whole(cell["builds_for_margin"])] if churned else []), cell["reason"] or ""]


def _figure(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.3f}"


def _whole(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _findings(findings: list[Json]) -> list[str]:
    lines = []
    for finding in findings:
        place = finding["location"]
        where = f"  ({place['path']}{':' + str(place['line']) if place['line'] else ''})" if place else ""
        lines.append(f"  {finding['severity']:<8} {finding['rule']}: {visible(finding['title'])}{visible(where)}")
    return [*lines, ""] if lines else lines


def _cohort(cell: Json) -> str:
    return ", ".join(f"{name}={value}" for name, value in cell["cohort"].items()) or "everybody"


def _ratio(cell: Json) -> str:
    if cell["ratio"] is None:
        return "no ratio, base shows none of it"
    low, high = cell["ratio_low"], cell["ratio_high"]
    interval = f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else ""
    return f"ratio {cell['ratio']:.3f}{interval}, margin {cell['margin']}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
