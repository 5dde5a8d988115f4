# SPDX-License-Identifier: Apache-2.0
"""Models as they are shown: which tables moved, with their plots, and everything else in a line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reports import words
from reports.findings import FindingView, finding_views
from reports.model_plots import Neighbours, Plot, neighbours_plot, number, row_name, shifts_plot, spectrum_plot
from reports.rendering import standalone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DRAWN: Final = 6  # tables of a model that are drawn
_LISTED: Final = 200  # tensors that are told in a line; the JSON has all
_ROWS: Final = 10
_STATUS: Final[Mapping[str, str]] = {
    "same": "the same bytes on both sides",
    "changed": "changed",
    "added": "new: base has none",
    "removed": "head has none any more",
}


@dataclass(frozen=True, slots=True)
class TableView:
    """A tensor that changed: its numbers, plots, rows out of line and groups. Texts are ready to print."""

    name: str
    shape: str
    facts: tuple[tuple[str, str], ...]
    plots: tuple[Plot, ...]
    rows: tuple[tuple[str, ...], ...]
    neighbours: tuple[Neighbours, ...]
    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ModelView:
    """One artifact, or the two files of a model-diff. ``others`` are not drawn, ``left`` more are in the JSON only.

    ``heads`` are each slice's share of exposure by the weights alone, where two tables make a score.
    """

    name: str
    anchor: str
    status: str
    sentence: str
    tables: tuple[TableView, ...]
    others: tuple[tuple[str, ...], ...]
    left: int
    made: tuple[str, ...]
    heads: tuple[tuple[str, ...], ...] = ()
    heads_sentence: str = ""


@dataclass(frozen=True, slots=True)
class ModelPage:
    """What ``model.html`` is given."""

    verdict: str
    model: ModelView
    findings: tuple[FindingView, ...]
    refused: tuple[tuple[str, str], ...]


def model_views(artifacts: Mapping[str, Any] | None) -> tuple[ModelView, ...]:
    """The artifacts of an artifacts document, those that changed first."""
    listed = (artifacts or {}).get("artifacts", ())
    ordered = sorted(listed, key=lambda one: (one["status"] == "same", one["name"]))
    return tuple(_artifact(one, at) for at, one in enumerate(ordered))


def model_view(document: Mapping[str, Any], name: str, at: int = 0, status: str = "") -> ModelView:
    """A model-diff document under a name."""
    moved = [tensor for tensor in document["tensors"] if tensor["status"] != "same" or tensor.get("old_name")]
    told = [tensor for tensor in sorted(moved, key=_weight) if tensor.get("row_shifts")][:_DRAWN]
    others = [tensor for tensor in moved if tensor not in told]
    same = len(document["tensors"]) - len(moved)
    heads = document.get("heads") or {}
    return ModelView(
        name=name,
        anchor=f"model-{at}",
        status=status,
        sentence=f"{words.count(len(document['tensors']), 'tensor')}: {len(moved)} changed, {same} the same.",
        tables=tuple(_table(tensor) for tensor in told),
        others=tuple(_line(tensor) for tensor in others[:_LISTED]),
        left=max(0, len(others) - _LISTED),
        made=tuple(_made(one) for one in document.get("provenance", ())),
        heads=tuple(_head(group) for group in heads.get("groups", ())),
        heads_sentence=_heads(heads) if heads else "",
    )


def model_html(document: Mapping[str, Any], name: str) -> str:
    """A model-diff document as one HTML file that needs nothing else; the same bytes for the same document."""
    page = ModelPage(
        verdict=document["verdict"],
        model=model_view(document, name),
        findings=finding_views(document["findings"]),
        refused=tuple((one["path"], one["reason"]) for one in document["refused"]),
    )
    return standalone("model.html", page)


def _artifact(one: Mapping[str, Any], at: int) -> ModelView:
    side = one["head"] or one["base"]
    status = f"{side['path']}, {side['size']:,} bytes, {_STATUS[one['status']]}"
    if one["model"] is not None:
        return model_view(one["model"], one["name"], at, status)
    sentence = "" if one["data"] is None else _data(one["data"])
    return ModelView(one["name"], f"model-{at}", status, sentence, (), (), 0, ())


def _data(document: Mapping[str, Any]) -> str:
    base, head = document["base"], document["head"]
    return f"{words.count(base['rows'], 'row')} before, {head['rows']:,} now."


def _weight(tensor: Mapping[str, Any]) -> tuple[float, str]:
    """The furthest row first, then by name."""
    rows = tensor["outlier_rows"]
    return (-(rows[0]["score"] if rows else 0.0), tensor["name"])


def _table(tensor: Mapping[str, Any]) -> TableView:
    aligned = tensor.get("aligned")
    rows = (aligned or {}).get("outlier_rows") or tensor["outlier_rows"]
    plots = (shifts_plot(tensor), spectrum_plot(tensor))
    return TableView(
        name=tensor["name"],
        shape=_shape(tensor),
        facts=tuple(_facts(tensor)),
        plots=tuple(plot for plot in plots if plot is not None),
        rows=tuple(_row(row) for row in rows[:_ROWS]),
        neighbours=tuple(neighbours_plot(around) for around in tensor.get("neighbours") or ()),
        groups=tuple(_group(group) for group in (aligned or {}).get("groups", ())),
    )


def _facts(tensor: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    aligned = tensor.get("aligned") or {}
    numbers = (
        ("difference over norm", tensor["relative_l2"]),
        ("cosine", tensor["cosine"]),
        ("largest change", tensor["max_abs"]),
        ("left after alignment", aligned.get("residual")),
        ("neighbours that stay (Jaccard)", aligned.get("jaccard")),
        ("second-order similarity", aligned.get("second_order")),
    )
    share = tensor["changed_share"]
    first = [("values that changed", words.percent(share))] if share is not None else []
    return [*first, *((name, f"{value:.4g}") for name, value in numbers if value is not None)]


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    shift, old, new = (row.get(name) for name in ("shift", "old_norm", "new_norm"))
    norms = words.MISSING if old is None or new is None else f"{old:.3g} → {new:.3g}"
    return (row_name(row), number(row["score"]), words.MISSING if shift is None else number(shift), norms)


def _group(group: Mapping[str, Any]) -> tuple[str, ...]:
    towards = group.get("towards")
    along = words.MISSING if towards is None else _signed(towards)
    return (group["name"], f"{group['rows']:,}", _signed(group["score"]), along)


def _heads(heads: Mapping[str, Any]) -> str:
    users = words.count(heads["users"], "user")
    return (
        f"What the weights alone would show {users} in the first {heads['k']}, where a score is the dot product of a "
        "row of each table: nothing is filtered, no code runs, and nobody gets these slates."
    )


def _head(group: Mapping[str, Any]) -> tuple[str, ...]:
    ratio = words.MISSING if group["ratio"] is None else f"{group['ratio']:.2f}"
    base, head = (words.percent(group[f"{side}_share"]) for side in ("base", "head"))
    return (group["name"], base, head, ratio, words.percent(group["error"]))


def _signed(value: float) -> str:
    return f"{round(value, 1) or 0.0:+.1f}".replace("-", words.MINUS)


def _line(tensor: Mapping[str, Any]) -> tuple[str, ...]:
    status = f"was {tensor['old_name']}" if tensor["status"] == "same" else tensor["status"]
    return (tensor["name"], status, _shape(tensor))


def _shape(tensor: Mapping[str, Any]) -> str:
    sides = [
        f"{tensor[f'{side}_dtype']} {' x '.join(f'{length:,}' for length in tensor[f'{side}_shape']) or 'a number'}"
        for side in ("old", "new")
        if tensor[f"{side}_shape"] is not None
    ]
    return " → ".join(dict.fromkeys(sides))


def _made(one: Mapping[str, Any]) -> str:
    if one["problem"] is not None:
        return f"{one['path']}: {one['problem']}"
    commits = words.joined([words.short(commit) for commit in one["commits"]]) or "no commit"
    builder = one["builder"] or "nobody by name"
    return f"{one['path']}: made by {builder} from {commits}, signed by {words.joined(list(one['signed_by']))}"
