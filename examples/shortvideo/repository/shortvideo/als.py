# SPDX-License-Identifier: Apache-2.0
"""Implicit matrix factorisation by alternating least squares (Hu, Koren and Volinsky 2008), in numpy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CHUNK = 60_000  # events gathered at a time; bounds the memory of a sweep


class Views(NamedTuple):
    """What was watched: one entry for each pair of viewer and clip."""

    viewer: np.ndarray
    clip: np.ndarray
    weight: np.ndarray  # how much it says: 1 for a view, more for a like or a share


class Settings(NamedTuple):
    """How a model is trained."""

    factors: int
    sweeps: int
    regularisation: float
    confidence: float  # what one unit of weight adds to the confidence of 1 that every pair has
    seed: int


def solve(fixed: np.ndarray, gram: np.ndarray, rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Least-squares factors for viewers (or clips), given the other side's.

    Args:
        fixed: factors of the other side, shape (m, f).
        gram: fixed.T @ fixed plus the regularisation, shape (f, f).
        rows: which rows of `fixed` each one touched, padded, shape (n, length).
        weight: added confidence of each touch, 0 where padded, shape (n, length).

    Returns:
        Factors of shape (n, f).
    """
    touched = fixed[rows]
    system = gram + np.matmul((touched * weight[..., None]).transpose(0, 2, 1), touched)
    target = np.matmul(np.where(weight > 0, 1.0 + weight, 0.0)[:, None, :], touched)[:, 0, :]
    return np.linalg.solve(system, target[..., None])[..., 0]


def _half_sweep(
    fixed: np.ndarray, own: np.ndarray, other: np.ndarray, weight: np.ndarray, size: int, reg: float
) -> np.ndarray:
    """New factors of one side, `size` of them; `own` and `other` are both ends of each event."""
    order = np.lexsort((other, own))
    other, weight = other[order], weight[order]
    count = np.bincount(own, minlength=size)
    start = np.cumsum(count) - count
    gram = fixed.T @ fixed + reg * np.eye(fixed.shape[1])
    solved = np.zeros((size, fixed.shape[1]))
    by_count = np.argsort(count, kind="stable")
    by_count = by_count[count[by_count] > 0]
    while by_count.size:
        # Rows of similar length go together, so that little is padding.
        longest = np.maximum.accumulate(count[by_count])
        take = max(1, int(np.searchsorted(longest * np.arange(1, longest.size + 1), CHUNK)))
        chunk, by_count = by_count[:take], by_count[take:]
        slot = np.arange(count[chunk[-1]])
        inside = slot < count[chunk][:, None]
        event = np.where(inside, start[chunk][:, None] + slot, 0)
        solved[chunk] = solve(fixed, gram, other[event], np.where(inside, weight[event], 0.0))
    return solved


def factorise(views: Views, viewers: int, clips: int, settings: Settings) -> np.ndarray:
    """Clip factors, shape (clips, factors); a clip nobody watched gets zeros."""
    rng = np.random.Generator(np.random.Philox(settings.seed))
    clip_factors = rng.normal(0.0, 0.1, (clips, settings.factors))
    weight = settings.confidence * views.weight
    for _ in range(settings.sweeps):
        viewer_factors = _half_sweep(clip_factors, views.viewer, views.clip, weight, viewers, settings.regularisation)
        clip_factors = _half_sweep(viewer_factors, views.clip, views.viewer, weight, clips, settings.regularisation)
    return clip_factors
