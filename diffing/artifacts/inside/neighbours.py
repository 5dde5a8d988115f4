# SPDX-License-Identifier: Apache-2.0
"""Nearest rows by cosine: exact up to a size, by an inverted file index above it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from diffing.artifacts.inside.tensors import Array

EXACT = 200_000  # rows up to which every pair is looked at
_QUERIES = 512
_SEED = 1234
_TRAINED = 39  # rows a list that its centre is learnt from, faiss' own least number
_PROBED = 24  # lists looked at for one row


def normalised(table: Array) -> Array:
    """Rows of length 1; rows of zeros stay zeros."""
    norms = np.sqrt(np.einsum("ij,ij->i", table, table))
    result: Array = table / np.maximum(norms, 1e-20)[:, None]
    return np.ascontiguousarray(result, dtype="<f4")


def nearest(table: Array, queries: Array, count: int) -> Array:
    """For each row number of ``queries`` the ``count`` nearest other rows of a normalised table, nearest first."""
    found = _exact(table, queries, count + 1) if len(table) <= EXACT else _approximate(table, queries, count + 1)
    order = np.argsort(found == queries[:, None], axis=1, kind="stable")  # the row itself last
    others: Array = np.take_along_axis(found, order, axis=1)[:, :count]
    return others


def overlap(old: Array, new: Array) -> Array:
    """Jaccard similarity of the neighbours of each row, before and after."""
    count = old.shape[1]
    shared = (old[:, :, None] == new[:, None, :]).any(axis=2).sum(axis=1)
    result: Array = shared / (2 * count - shared)
    return result


def _exact(table: Array, queries: Array, count: int) -> Array:
    count = min(count, len(table))
    parts = []
    for at in range(0, len(queries), _QUERIES):
        similar = table[queries[at : at + _QUERIES]] @ table.T
        top = np.argpartition(-similar, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(similar, top, axis=1), axis=1, kind="stable")
        parts.append(np.take_along_axis(top, order, axis=1))
    return np.concatenate(parts)


def _approximate(table: Array, queries: Array, count: int) -> Array:
    import faiss  # noqa: PLC0415 - only large tables need it

    lists = max(64, int(np.sqrt(len(table))))
    quantizer = faiss.IndexFlatIP(table.shape[1])
    index = faiss.IndexIVFFlat(quantizer, table.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = _SEED
    index.cp.min_points_per_centroid = 1
    step = max(1, len(table) // (lists * _TRAINED))
    index.train(np.ascontiguousarray(table[::step]))
    index.add(table)
    index.nprobe = _PROBED
    _, found = index.search(np.ascontiguousarray(table[queries]), count)
    result: Array = found
    return result
