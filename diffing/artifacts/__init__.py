# SPDX-License-Identifier: Apache-2.0
"""Models, embeddings and tables: opened in a confined process, compared number by number."""

from diffing.artifacts.confined import Heads
from diffing.artifacts.models import ModelDiff, model_diff
from diffing.artifacts.provenance import MAX_STATEMENT, Keys, Provenance, is_statement, read_keys, speaks_of
from diffing.artifacts.snapshots import ROLES, DataDiff, data_diff

__all__ = [
    "MAX_STATEMENT",
    "ROLES",
    "DataDiff",
    "Heads",
    "Keys",
    "ModelDiff",
    "Provenance",
    "data_diff",
    "is_statement",
    "model_diff",
    "read_keys",
    "speaks_of",
]
