# SPDX-License-Identifier: Apache-2.0
"""Trains the model: `python -m shortvideo.train VIEWS MODEL`, with the settings of `config/training.toml`.

VIEWS is the warehouse's export, an .npz with `viewer`, `clip` and `weight`, one entry a pair, and the sizes `viewers`
and `clips`. MODEL is an .npz with `factors` (half precision: what serving loads) and `views` (viewers of each clip).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from shortvideo import als
from shortvideo.settings import read_training


def train(export: Path, model: Path) -> None:
    """Reads the export, writes the model."""
    with np.load(export, allow_pickle=False) as file:
        views = als.Views(file["viewer"], file["clip"], file["weight"].astype(np.float64))
        viewers, clips = int(file["viewers"]), int(file["clips"])
    factors = als.factorise(views, viewers, clips, read_training())
    count = np.bincount(views.clip, minlength=clips).astype(np.int32)
    np.savez(model, factors=factors.astype(np.float16), views=count)


if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]))
