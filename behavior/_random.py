# SPDX-License-Identifier: Apache-2.0
"""Randomness keyed by what it is for: the same panel, probe and shard draw the same numbers on any machine."""

from __future__ import annotations

import hashlib

import numpy as np

from evidence import canonical


def keyed(seed: int, *key: str | int) -> np.random.Generator:
    """A Philox generator for ``key`` (probe, purpose, cell, shard) under a panel's seed; keys are independent."""
    digest = hashlib.sha256(canonical(["countersign/random/v1", seed, *key])).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)))
