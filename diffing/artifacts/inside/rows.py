# SPDX-License-Identifier: Apache-2.0
"""How far each row of a tensor moved, and which moved out of line with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from diffing.artifacts.inside.tensors import Array

MOST_ROWS = 50
KEPT = 4 << 20  # rows whose shift is held exactly; of more, evenly spaced ones stand for the others
_OUT_OF_LINE = 3.5  # robust deviations, the usual cut for a modified z-score (Iglewicz and Hoaglin 1993)
_DEVIATION = 1.4826  # median absolute deviation to standard deviation, for a normal distribution
_FLOOR = 1e-3  # of a typical row's norm: less spread than this is none
_MOST = 1e9
_ENOUGH = 8  # rows from which on there is a usual shift
_NARROW = 1.01  # shifts this close together make one class


class RowShifts:
    """Takes squared shifts of rows in their order; memory does not grow beyond KEPT rows."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._stride = -(-rows // KEPT) if rows else 1
        self._sample: Array = np.zeros(-(-rows // self._stride) if rows else 0, dtype="<f4")
        self._top_rows: Array = np.zeros(0, dtype="<i8")
        self._top: Array = np.zeros(0)
        self._open = -1
        self._open_sum = 0.0
        self.changed = 0

    def take(self, first: int, squares: Array) -> None:
        """Squared shifts of the rows from ``first`` on."""
        squares = np.nan_to_num(np.asarray(squares, dtype="<f8"), nan=np.inf, posinf=np.inf)
        self.changed += int(np.count_nonzero(squares))
        picked = -first % self._stride
        part = squares[picked :: self._stride]
        at = (first + picked) // self._stride
        with np.errstate(over="ignore"):
            self._sample[at : at + len(part)] = np.sqrt(part)
        self._keep_top(first, squares)

    def take_part(self, row: int, square: float) -> None:
        """The squared shift of a part of one row; the parts of a row come one after the other."""
        if row != self._open:
            self.close()
            self._open, self._open_sum = row, 0.0
        self._open_sum += square

    def close(self) -> None:
        """No more parts of the last row come."""
        if self._open >= 0:
            row, total = self._open, self._open_sum
            self._open = -1
            self.take(row, np.array([total]))

    def _keep_top(self, first: int, squares: Array) -> None:
        least = self._top[-1] if len(self._top) == MOST_ROWS else 0.0
        better = np.flatnonzero(squares > least)
        if not len(better):
            return
        if len(better) > MOST_ROWS:
            better = better[np.argpartition(-squares[better], MOST_ROWS - 1)[:MOST_ROWS]]
        rows = np.concatenate([self._top_rows, better + first])
        shifts = np.concatenate([self._top, squares[better]])
        order = np.lexsort((rows, -shifts))[:MOST_ROWS]
        self._top_rows, self._top = rows[order], shifts[order]

    def summary(self, typical: float) -> dict[str, Any]:
        """Rows out of line, most outlying first, and the distribution of shifts.

        ``typical`` is the norm of a usual row. A row's ``score`` is its shift in robust deviations from the median
        shift. Where most rows did not change at all, or there are only a few, every row that did is out of line.
        """
        self.close()
        finite = self._sample[np.isfinite(self._sample)]
        mostly_still = self.changed * 2 <= self.rows or self.rows < _ENOUGH
        middle = float(np.median(finite)) if len(finite) and not mostly_still else 0.0
        spread = _DEVIATION * float(np.median(np.abs(finite - middle))) if len(finite) and not mostly_still else 0.0
        scale = max(spread, _FLOOR * typical, 1e-30)
        shifts = np.sqrt(self._top)
        scores = np.minimum((shifts - middle) / scale, _MOST)
        chosen = (scores >= _OUT_OF_LINE) | (mostly_still & (shifts > 0))
        positive = finite[finite > 0]
        return {
            "rows": self.rows,
            "rows_changed": self.changed,
            "median_shift": middle,
            "deviation": spread,
            "log_deviation": _log_deviation(positive),
            "histogram": _histogram(positive, float(shifts[0]) if len(shifts) else 0.0),
            "outlier_rows": [
                {"row": int(row), "score": float(score), "shift": float(shift) if np.isfinite(shift) else None}
                for row, score, shift in zip(self._top_rows[chosen], scores[chosen], shifts[chosen], strict=True)
            ],
        }


def _log_deviation(shifts: Array) -> dict[str, float] | None:
    """Median and robust deviation of the logarithm: rows of a retrained table move by factors, not by amounts."""
    if len(shifts) < 3:  # noqa: PLR2004 - no spread to tell
        return None
    logs = np.log(shifts.astype("<f8"))
    middle = float(np.median(logs))
    return {
        "median": middle,
        "deviation": _DEVIATION * float(np.median(np.abs(logs - middle))),
        "high": float(np.quantile(logs, 0.99)),
    }


def _histogram(shifts: Array, largest: float) -> dict[str, Any] | None:
    """Rows by the size of their shift, in 24 classes of equal width on a logarithmic scale."""
    if not len(shifts) or not np.isfinite(largest) or largest <= 0:
        return None
    low = float(shifts.min())
    edges = np.geomspace(min(low, largest), max(largest, low) * (1 + 1e-6), 25)
    if largest <= low * _NARROW:
        return None
    counts, _ = np.histogram(shifts, bins=edges)
    return {"edges": [float(edge) for edge in edges], "counts": [int(count) for count in counts]}
