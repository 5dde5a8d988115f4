# SPDX-License-Identifier: Apache-2.0
"""Models, embeddings and tables: opened in a confined process, compared number by number."""

from diffing.artifacts.confined import Heads
from diffing.artifacts.models import ModelDiff, model_diff

__all__ = ["Heads", "ModelDiff", "model_diff"]
