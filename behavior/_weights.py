# SPDX-License-Identifier: Apache-2.0
"""Position weights: how much a place in the slate counts. Whole numbers, so that sums over users are exact."""

from __future__ import annotations

from typing import Any

import numpy as np

Weights = np.ndarray[Any, np.dtype[np.int64]]

_SCALE = 1 << 30


def position_weights(kind: str, length: int) -> Weights:
    """Weights of ranks 1..length: ``log2`` (1/log2(r+1)), ``uniform``, ``reciprocal`` (1/r), ``cascade:p`` (p**(r-1)).

    Returns:
        int64 of shape (length,). Only their proportions mean something: divide by their sum. Equal weights are equal
        whole numbers, so that a slate in another order has exactly the same uniform exposure.
    """
    rank = np.arange(1, length + 1, dtype=np.float64)
    if kind == "log2":
        raw = 1.0 / np.log2(rank + 1.0)
    elif kind == "uniform":
        raw = np.ones(length)
    elif kind == "reciprocal":
        raw = 1.0 / rank
    else:
        raw = np.power(float(kind.removeprefix("cascade:")), rank - 1.0)
    return np.asarray(np.rint(raw / raw.sum() * _SCALE), dtype=np.int64)
