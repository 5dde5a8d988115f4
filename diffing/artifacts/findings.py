# SPDX-License-Identifier: Apache-2.0
"""What a reviewer is told of a model's change, and how much it weighs.

Retraining moves every row a little; a hand moves few rows, one column, or few directions, and leaves the others as
they were, bit for bit. The first weighs low, the second high.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from diffing.artifacts.forests import forest_findings, operator_findings
from diffing.artifacts.turning import turned_findings
from evidence import Finding, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from diffing.artifacts.answers import Opened, Tensor

FEW = 0.05  # of the rows: so few do not come from a retrain, which moves all
_ROUNDED = 4.0  # times the error that storing in a narrower type makes: still nothing but rounding
_COLUMN = 0.98  # of the energy of the difference in one column
_FEW_DIRECTIONS = 0.25  # of all directions that a matrix has
_WIDE = 8  # columns from which on directions say something
_FAR_FACTOR = 3.0  # beyond the shift that 99 % of rows stay under
_FAR_DEVIATIONS = 6.0  # of the logarithm of shifts
_SHOWN = 10
_BRANCHES = "branches"  # the tensor that says where the rows of each split of a tree go


def findings_of(base: Opened, head: Opened, tensors: Sequence[Tensor], path: str) -> Iterator[Finding]:
    """All findings, in no order."""
    yield from _files(base, head, path)
    retrained = _retrained(tensors)
    for tensor in tensors:
        if tensor.name in retrained and tensor.status == "changed":
            yield _regrown(tensor, path)
        else:
            yield from _tensor(tensor, path)
    yield from forest_findings(base.forests, head.forests, path)
    yield from operator_findings(base.operators, head.operators, path)


def _files(base: Opened, head: Opened, path: str) -> Iterator[Finding]:
    known = {one.path: one for one in base.unsafe}
    for one in head.unsafe:
        seen = "New" if one.path not in known else "Possibly changed"
        scans = "; ".join(f"{name}: {said}" for name, said in one.scanners.items()) or one.note or "not listed"
        imports = ", ".join(one.imports[:_SHOWN]) or "nothing by name"
        yield Finding(
            "unsafe-artifact",
            Severity.HIGH,
            f"{seen} file that runs code when it is loaded: {one.path}",
            f"It was not loaded. It imports {imports}. {scans}. Submit it in a data-only format, such as safetensors.",
            Location(_place(path, one.path)),
            {"opcodes": one.opcodes, "imports": one.imports, "scanners": one.scanners, "complete": one.complete},
            (_place(path, one.path), *one.imports),
        )
    for opaque in head.opaque:
        yield Finding(
            "opaque-artifact",
            Severity.HIGH,
            f"File that cannot be reviewed: {opaque.path}",
            f"{opaque.reason[0].upper()}{opaque.reason[1:]}.",
            Location(_place(path, opaque.path)),
            {"reason": opaque.reason},
            (_place(path, opaque.path), opaque.reason),
        )
    for said in head.refused:
        yield Finding(
            "opaque-artifact",
            Severity.HIGH,
            f"File that is refused: {said.path}",
            f"It is not read: {said.reason}.",
            Location(_place(path, said.path)),
            {"reason": said.reason},
            (_place(path, said.path), said.reason),
        )


def _retrained(tensors: Sequence[Tensor]) -> set[str]:
    """The splits of trees that were grown anew: where leaves and thresholds moved throughout, few splits mean nothing.

    Few features and few shapes of trees repeat: most splits stay as they were although nothing was edited.
    """
    known = {tensor.name: tensor for tensor in tensors}
    found = set()
    for name in known:
        prefix = name.removesuffix(_BRANCHES)
        grown = [known.get(f"{prefix}{one}") for one in ("leaf_value", "threshold")]
        if name.endswith(_BRANCHES) and all(one and one.status == "changed" and not sparse(one) for one in grown):
            found |= {name, f"{prefix}split_feature"}
    return found


def _regrown(tensor: Tensor, path: str) -> Finding:
    return _finding(
        "tensor-changed", Severity.LOW, tensor, path, f"{tensor.name} changed{_of_values(tensor)}",
        "Leaves and thresholds moved throughout: the trees were grown anew.",
        {"old": tensor.old_shape, "new": tensor.new_shape, "changed_share": tensor.changed_share}, "values",
    )  # fmt: skip


def _of_values(tensor: Tensor) -> str:
    return f": {_share(tensor)}" if tensor.changed_share is not None else ""


def _place(path: str, name: str) -> str:
    return path or name


def _tensor(tensor: Tensor, path: str) -> Iterator[Finding]:
    bad = tensor.non_finite
    if bad is not None and bad.new:
        worse = bad.new > bad.old
        yield _finding(
            "non-finite-values", Severity.HIGH if worse else Severity.MEDIUM, tensor, path,
            f"{bad.new:,} values of {tensor.name} are NaN or infinite",
            f"Base has {bad.old:,}. Scores made of them compare as nothing: ranks then follow from the order of items.",
            {"old": bad.old, "new": bad.new},
        )  # fmt: skip
    if tensor.denormals and tensor.denormals.new > tensor.denormals.old and tensor.rounding is None:
        count = tensor.denormals
        yield _finding(
            "tensor-changed", Severity.LOW, tensor, path,
            f"{count.new:,} denormal values in {tensor.name}",
            "Values that small can carry data unseen, and slow a processor down.",
            {"denormals": {"old": count.old, "new": count.new}}, "denormals",
        )  # fmt: skip
    if tensor.status == "same":
        if tensor.old_name is not None:
            yield _finding(
                "tensor-changed", Severity.INFO, tensor, path,
                f"Tensor {tensor.old_name} is now called {tensor.name}", "Its bytes are the same.",
                {"old": tensor.old_name, "new": tensor.name}, "renamed",
            )  # fmt: skip
        return
    if tensor.status in ("added", "removed"):
        shape = tensor.new_shape if tensor.status == "added" else tensor.old_shape
        yield _finding(
            "tensor-changed", Severity.MEDIUM, tensor, path,
            f"Tensor {tensor.name} {tensor.status}: {_shape(shape)}",
            "Nothing of the other side has these bytes.",
            {"old": tensor.old_shape, "new": tensor.new_shape}, tensor.status,
        )  # fmt: skip
        return
    yield from _changed(tensor, path)


def _changed(tensor: Tensor, path: str) -> Iterator[Finding]:
    if tensor.old_shape != tensor.new_shape:
        yield _reshaped(tensor, path)
    if tensor.old_dtype != tensor.new_dtype and only_rounded(tensor):
        yield _finding(
            "tensor-changed", Severity.LOW, tensor, path,
            f"{tensor.name} is stored as {tensor.new_dtype} instead of {tensor.old_dtype}",
            "Its values are the same up to rounding.",
            {"old": tensor.old_dtype, "new": tensor.new_dtype}, "dtype",
        )  # fmt: skip
        return
    if tensor.changed_share is None or tensor.row_shifts is None:
        if tensor.old_shape == tensor.new_shape:
            yield _finding(
                "tensor-changed", Severity.MEDIUM, tensor, path, f"{tensor.name} changed",
                f"Its values as {tensor.new_dtype} are not read as numbers.",
                {"old": tensor.old_dtype, "new": tensor.new_dtype}, "bytes",
            )  # fmt: skip
        return
    if not tensor.row_shifts.rows_changed and not tensor.changed_share:
        return
    severity, why = _weigh(tensor)
    yield _finding(
        "tensor-changed", severity, tensor, path,
        f"{tensor.name} changed: {_share(tensor)}{_measure(tensor)}", why, _evidence(tensor), "values",
    )  # fmt: skip
    yield from _outliers(tensor, path)
    yield from turned_findings(tensor, path)


def only_rounded(tensor: Tensor) -> bool:
    """Whether no row moved further than storing it in the narrower of the two types makes it."""
    if tensor.rounding is None or tensor.relative_l2 is None:
        return False
    limit = _ROUNDED * tensor.rounding
    return tensor.relative_l2 <= limit and all(
        row.shift is not None and row.old_norm is not None and row.shift <= limit * max(row.old_norm, 1e-30)
        for row in tensor.outlier_rows
    )


def _reshaped(tensor: Tensor, path: str) -> Finding:
    grown = tensor.compared_rows is not None
    fewer = grown and (tensor.new_shape or [0])[0] < (tensor.old_shape or [0])[0]
    return _finding(
        "tensor-changed", Severity.LOW if grown and not fewer else Severity.MEDIUM, tensor, path,
        f"{tensor.name} went from {_shape(tensor.old_shape)} to {_shape(tensor.new_shape)}",
        f"The first {tensor.compared_rows:,} rows are compared." if grown else "Its values cannot be paired.",
        {"old": tensor.old_shape, "new": tensor.new_shape}, "shape",
    )  # fmt: skip


def sparse(tensor: Tensor) -> bool:
    """Whether so few rows changed that no retrain made them: the others are the same bit for bit."""
    shifts = tensor.row_shifts
    if shifts is None or not shifts.rows_changed:
        return False
    return shifts.rows_changed <= max(1.0, FEW * shifts.rows) and shifts.rows_changed < shifts.rows


def one_column(tensor: Tensor) -> int | None:
    """The column that holds nearly all of the difference, where it is one."""
    spectrum = tensor.spectrum
    if spectrum is None or not spectrum.columns or len(tensor.new_shape or []) < 2:  # noqa: PLR2004 - a matrix
        return None
    first = spectrum.columns[0]
    return first.column if first.share >= _COLUMN and spectrum.full_rank > 1 else None


def few_directions(tensor: Tensor) -> int | None:
    """The rank of a difference that lies in few directions, to one part in a thousand; None where it does not."""
    spectrum = tensor.spectrum
    if spectrum is None or spectrum.full_rank < _WIDE or spectrum.rank_999 is None:
        return None
    return spectrum.rank_999 if spectrum.rank_999 <= max(1, _FEW_DIRECTIONS * spectrum.full_rank) else None


def _weigh(tensor: Tensor) -> tuple[Severity, str]:
    shifts = tensor.row_shifts
    assert shifts is not None  # noqa: S101 - the caller has looked
    if sparse(tensor):
        return Severity.MEDIUM, (
            f"{shifts.rows_changed:,} of {shifts.rows:,} rows changed and all others are the same bit for bit:"
            " an edit, not a retrain."
        )
    column, rank = one_column(tensor), few_directions(tensor)
    if column is not None:
        return Severity.HIGH, f"Nearly all of the difference lies in column {column}: an edit, not a retrain."
    if rank is not None:
        full = tensor.spectrum.full_rank if tensor.spectrum else 0
        return Severity.MEDIUM, f"The difference lies in {rank} of {full} directions: an edit or an adapter."
    return (
        Severity.LOW,
        f"{shifts.rows_changed:,} of {shifts.rows:,} rows moved, as they do when a model is trained on.",
    )


def _outliers(tensor: Tensor, path: str) -> Iterator[Finding]:
    shifts = tensor.row_shifts
    rows = tensor.outlier_rows
    if shifts is None or not rows:
        return
    far = rows if sparse(tensor) else [row for row in rows if _is_far(row.shift, tensor)]
    if not far:
        return
    first = far[0]
    names = ", ".join(row.id or str(row.row) for row in far[:_SHOWN]) + (" and more" if len(far) > _SHOWN else "")
    grew = (
        f" Its norm goes from {first.old_norm:.4g} to {first.new_norm:.4g}."
        if first.old_norm is not None and first.new_norm is not None
        else ""
    )
    yield _finding(
        "embedding-outlier", Severity.HIGH if sparse(tensor) else Severity.MEDIUM, tensor, path,
        f"{_rows(shifts.rows_changed if sparse(tensor) else len(far))} of {tensor.name} moved out of line",
        f"Rows {names}: the first by {first.score:,.4g} robust deviations.{grew}",
        {"rows": [row.model_dump() for row in far[:_SHOWN]], "count": len(far), "rows_changed": shifts.rows_changed},
        *(str(row.row) for row in far[:_SHOWN]),
    )  # fmt: skip


def _is_far(shift: float | None, tensor: Tensor) -> bool:
    """Whether a row moved beyond what a retrain's heavy tail reaches: by factors, on the scale of logarithms."""
    logs = tensor.row_shifts.log_deviation if tensor.row_shifts else None
    if shift is None:
        return True
    if logs is None or shift <= 0:
        return False
    beyond = math.log(shift) - logs.median
    return beyond > _FAR_DEVIATIONS * logs.deviation and math.log(shift) - logs.high > math.log(_FAR_FACTOR)


def _finding(
    rule: str, severity: Severity, tensor: Tensor, path: str, title: str, detail: str, evidence: dict[str, Any],
    *key: str,
) -> Finding:  # fmt: skip
    return Finding(
        rule, severity, title, detail, Location(path or "model", symbol=tensor.name),
        {"name": tensor.name, **evidence}, (path, tensor.name, *key),
    )  # fmt: skip


def _evidence(tensor: Tensor) -> dict[str, Any]:
    return {
        "relative_l2": tensor.relative_l2,
        "cosine": tensor.cosine,
        "max_abs": tensor.max_abs,
        "changed_share": tensor.changed_share,
        "column": one_column(tensor),
        "rank": few_directions(tensor),
    }


def _share(tensor: Tensor) -> str:
    share = tensor.changed_share or 0.0
    return f"{share:.1%} of its values" if share >= 0.001 else f"{share:.2g} of its values"  # noqa: PLR2004 - of a share


def _measure(tensor: Tensor) -> str:
    return f", by {tensor.relative_l2:.3g} of its norm" if tensor.relative_l2 is not None else ""


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _shape(shape: Iterable[int] | None) -> str:
    return "x".join(str(length) for length in shape or []) or "a single number"
