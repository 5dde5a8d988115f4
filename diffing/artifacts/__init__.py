# SPDX-License-Identifier: Apache-2.0
"""Models, embeddings and tables: opened in a confined process, compared number by number."""

from diffing.artifacts.confined import Heads
from diffing.artifacts.models import ModelDiff, model_diff
from diffing.artifacts.provenance import Keys, Provenance, read_keys
from diffing.artifacts.snapshots import ROLES, DataDiff, data_diff

__all__ = ["ROLES", "DataDiff", "Heads", "Keys", "ModelDiff", "Provenance", "data_diff", "model_diff", "read_keys"]
