# SPDX-License-Identifier: Apache-2.0
"""An embedding table across a retrain: its axes turned back, its neighbourhoods and similarities compared.

Alignment is orthogonal Procrustes (Schönemann 1966) with one scale; second-order similarity is that of Hamilton,
Leskovec and Jurafsky (2016): how alike a row's similarities to others are before and after, whatever the axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from diffing.artifacts.inside import neighbours
from diffing.artifacts.inside.rows import MOST_ROWS
from diffing.artifacts.inside.tensors import values
from diffing.artifacts.inside.words import RefusedError

if TYPE_CHECKING:
    from diffing.artifacts.inside.tensors import Array, Tensor

ELEMENTS = 80 << 20  # of one side's table that is held; of more, evenly spaced rows stand for the others
NEIGHBOURS = 10
SAMPLE = 20_000
_ANCHORS = 512
_BLOCK = 1 << 14
_DEVIATION = 1.4826
_LEAST_ROWS, _LEAST_COLUMNS, _MOST_COLUMNS = 32, 2, 4096
_TINY = 1e-20


class Table:
    """The rows of a table that are looked at, as float32, and their numbers."""

    def __init__(self, tensor: Tensor, numbers: Array) -> None:
        self.numbers = numbers
        self.rows = _rows(tensor, numbers)


def fits(old: Tensor, new: Tensor) -> bool:
    """Whether two tensors are tables of the same rows and columns, of a size that neighbours mean something in."""
    return old.shape == new.shape and alike(old, new)


def alike(old: Tensor, new: Tensor) -> bool:
    """The same for tables of which one may have more rows: neighbours can be told, and nothing aligned."""
    return all(
        len(one.shape) == 2  # noqa: PLR2004 - rows and columns
        and one.numeric
        and one.dtype[0] != "C"
        and one.rows >= _LEAST_ROWS
        and one.columns == old.columns
        and _LEAST_COLUMNS <= one.columns <= _MOST_COLUMNS
        for one in (old, new)
    )


def across(
    old: Tensor, new: Tensor, rebuilds: list[Tensor], groups: dict[str, list[int]], towards: Tensor | None
) -> dict[str, Any]:
    """How an embedding table changed once its axes are turned back; see ``EmbeddingDiff`` for the fields.

    Args:
        old: base's table.
        new: head's.
        rebuilds: the same table, trained as base was with other random numbers.
        groups: rows by the name of their group.
        towards: a table of head whose mean says where "towards the users" is.

    Raises:
        RefusedError: values that are not finite, or a rebuild of another shape.
    """
    numbers = np.arange(0, old.rows, max(1, -(-old.rows * old.columns // ELEMENTS)))
    base, head = Table(old, numbers), Table(new, numbers)
    turned, scale, rotation = _aligned(base.rows, head.rows)
    shift = head.rows - turned
    moved = _lengths(shift)
    result: dict[str, Any] = {
        "rows": len(numbers),
        "residual": float(np.sqrt(np.mean(moved**2)) / max(np.sqrt(np.mean(_lengths(head.rows) ** 2)), _TINY)),
        "scale": scale,
        "turned": float(np.linalg.norm(rotation - np.eye(len(rotation))) / np.sqrt(2 * len(rotation))),
    }
    queries = np.arange(0, len(numbers), max(1, -(-len(numbers) // SAMPLE)))
    around = _neighbours(base.rows, queries)
    jaccard = neighbours.overlap(around, _neighbours(head.rows, queries))
    second = _second_order(base.rows, head.rows)
    result |= {"neighbours": NEIGHBOURS, "sampled": len(queries), "jaccard": float(jaccard.mean())}
    result["second_order"] = float(second.mean())
    null = [_null(base.rows, Table(_like(one, old), numbers).rows, queries, around) for one in rebuilds]
    score = _scores(moved, [one["moved"] for one in null])
    result["outlier_rows"] = _outliers(score, moved, second, base, head)
    result["rebuild"] = _against(result, null) if null else None
    result["groups"] = _groups(groups, shift, score, numbers, towards, new)
    return result


def _rows(tensor: Tensor, numbers: Array) -> Array:
    table = np.empty((len(numbers), tensor.columns), dtype="<f4")
    width = tensor.nbytes // max(tensor.rows, 1)
    step = int(numbers[1] - numbers[0]) if len(numbers) > 1 else 1
    for at in range(0, len(numbers), _BLOCK):
        part = numbers[at : at + _BLOCK]
        if step == 1:
            raw = tensor.file.read(tensor.offset + int(part[0]) * width, len(part) * width)
        else:
            raw = b"".join(tensor.file.read(tensor.offset + int(row) * width, width) for row in part)
        with np.errstate(over="ignore"):
            table[at : at + len(part)] = values(raw, tensor.dtype).reshape(len(part), -1)
    if not np.isfinite(table).all():
        raise RefusedError(f"{tensor.name}: not aligned, as it holds values that are not finite")
    return table


def _like(rebuild: Tensor, old: Tensor) -> Tensor:
    if rebuild.shape != old.shape:
        raise RefusedError(f"the rebuild of {old.name} has another shape")
    return rebuild


def _aligned(old: Array, new: Array) -> tuple[Array, float, Array]:
    """The old rows turned and scaled onto the new ones, the scale, and the rotation."""
    product = np.zeros((old.shape[1], old.shape[1]))
    energy = 0.0
    for at in range(0, len(old), _BLOCK):
        part = old[at : at + _BLOCK].astype("<f8")
        product += part.T @ new[at : at + _BLOCK]
        energy += float(np.einsum("ij,ij->", part, part))
    left, singular, right = np.linalg.svd(product)
    rotation = left @ right
    scale = float(singular.sum() / max(energy, _TINY))
    turn = (rotation * scale).astype("<f4")
    turned = np.empty_like(old)
    for at in range(0, len(old), _BLOCK):
        turned[at : at + _BLOCK] = old[at : at + _BLOCK] @ turn
    return turned, scale, rotation


def _lengths(rows: Array) -> Array:
    lengths: Array = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype="<f8"))
    return lengths


def _neighbours(table: Array, queries: Array) -> Array:
    return neighbours.nearest(neighbours.normalised(table), queries, NEIGHBOURS)


def _second_order(old: Array, new: Array) -> Array:
    """For each row the cosine of its similarities to evenly spaced rows, before and after."""
    anchors = np.arange(0, len(old), max(1, len(old) // _ANCHORS))[:_ANCHORS]
    sides = [(table, neighbours.normalised(table[anchors])) for table in (old, new)]
    found = np.empty(len(old))
    for at in range(0, len(old), _BLOCK):
        first, second = (neighbours.normalised(table[at : at + _BLOCK]) @ these.T for table, these in sides)
        over = np.sqrt(np.einsum("ij,ij->i", first, first) * np.einsum("ij,ij->i", second, second))
        found[at : at + _BLOCK] = np.einsum("ij,ij->i", first, second) / np.maximum(over, _TINY)
    return found


def _null(base: Array, rebuild: Array, queries: Array, around: Array) -> dict[str, Any]:
    turned, _, _ = _aligned(base, rebuild)
    moved = _lengths(rebuild - turned)
    after = _neighbours(rebuild, queries)
    return {
        "moved": moved,
        "residual": float(np.sqrt(np.mean(moved**2)) / max(np.sqrt(np.mean(_lengths(rebuild) ** 2)), _TINY)),
        "jaccard": float(neighbours.overlap(around, after).mean()),
        "second_order": float(_second_order(base, rebuild).mean()),
    }


def _scores(moved: Array, nulls: list[Array]) -> Array:
    """Robust deviations of the logarithm of each row's shift; beyond the same row's in rebuilds, where there are."""
    logs = np.log(moved + _TINY)
    if nulls:
        logs = logs - np.log(np.mean(nulls, axis=0) + _TINY)
    middle = np.median(logs)
    spread = _DEVIATION * np.median(np.abs(logs - middle))
    score: Array = (logs - middle) / max(float(spread), 1e-6)
    return score


def _outliers(score: Array, moved: Array, second: Array, base: Table, head: Table) -> list[dict[str, Any]]:
    top = np.lexsort((base.numbers, -score))[:MOST_ROWS]
    norms = [_lengths(side.rows[top]) for side in (base, head)]
    return [
        {
            "row": int(base.numbers[row]), "score": float(score[row]), "shift": float(moved[row]),
            "second_order": float(second[row]), "old_norm": float(norms[0][place]), "new_norm": float(norms[1][place]),
        }
        for place, row in enumerate(top)
        if score[row] > 0
    ]  # fmt: skip


def _against(result: dict[str, Any], null: list[dict[str, Any]]) -> dict[str, Any]:
    """What rebuilds vary by, for the same measures."""
    return {"count": len(null)} | {
        name: float(np.mean([one[name] for one in null])) for name in ("residual", "jaccard", "second_order")
    } | {"excess": result["residual"] / max(float(np.mean([one["residual"] for one in null])), _TINY)}  # fmt: skip


def _groups(
    groups: dict[str, list[int]], shift: Array, score: Array, numbers: Array, towards: Tensor | None, new: Tensor
) -> list[dict[str, Any]]:
    """How far each group moved out of line, and along the direction to the mean of ``towards``."""
    if not groups:
        return []
    along = None
    if towards is not None and towards.columns == new.columns:
        rows = np.arange(0, towards.rows, max(1, -(-towards.rows * towards.columns // ELEMENTS)))
        centre = Table(towards, rows).rows.mean(axis=0, dtype="<f8")
        along = shift @ (centre / max(float(np.linalg.norm(centre)), _TINY))
    place = {int(row): at for at, row in enumerate(numbers)}
    found = []
    for name, members in sorted(groups.items()):
        at = np.array([place[row] for row in members if row in place], dtype="<i8")
        if len(at):
            found.append({
                "name": name, "rows": len(at), "score": float(np.median(score[at])),
                "towards": None if along is None else _deviations(along, at),
            })  # fmt: skip
    return found


def _deviations(values_: Array, at: Array) -> float:
    """The median of some rows, in robust deviations of all rows' values over the root of their number."""
    middle = float(np.median(values_))
    spread = _DEVIATION * float(np.median(np.abs(values_ - middle)))
    return float((np.median(values_[at]) - middle) / max(spread, _TINY) * np.sqrt(len(at)))
