# SPDX-License-Identifier: Apache-2.0
"""Records slates: `python record.py TREE PANEL OUT K [BATCH]`, in a process of its own, as an audit would ask.

OUT is an .npz with `users` and `items` (users, K), in the panel's order of users.
"""

from __future__ import annotations

import sys
import tempfile
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

CONTEXT = ("country", "language", "device", "account_age_days", "at")


def requests(panel: Path) -> list[dict[str, Any]]:
    """One request a user, as plain dicts."""
    users = pl.read_parquet(panel / "users.parquet")
    histories = pl.read_parquet(panel / "histories.parquet", columns=["user_id", "item_id", "event"])
    watched = histories.group_by("user_id", maintain_order=True).agg("item_id", "event")
    history = {user: list(zip(items, events, strict=True)) for user, items, events in watched.iter_rows()}
    return [
        {
            "id": number,
            "seed": number,
            "user_id": row["user_id"],
            "history": [{"item_id": item, "event": event} for item, event in history[row["user_id"]]],
            "context": {name: row[name] for name in CONTEXT},
        }
        for number, row in enumerate(users.iter_rows(named=True))
    ]


def stage(tree: Path, folder: Path) -> None:
    """Puts every artifact of the manifest where `load` finds it: under its name, with its own suffix."""
    manifest = tomllib.loads((tree / "countersign.toml").read_text(encoding="utf-8"))
    for name, path in manifest["artifacts"].items():
        (folder / f"{name}{Path(path).suffix}").symlink_to(tree / path)


def main(tree: Path, panel: Path, out: Path, k: int, batch: int) -> None:
    """Asks in batches, in the panel's order, and writes what comes back."""
    asked = requests(panel)
    sys.path.insert(0, str(tree))
    manifest = tomllib.loads((tree / "countersign.toml").read_text(encoding="utf-8"))
    module, function = manifest["recommender"]["entrypoint"].split(":")
    with tempfile.TemporaryDirectory() as folder:
        stage(tree, Path(folder))
        recommender = getattr(import_module(module), function)(Path(folder))
        slates = []
        for start in range(0, len(asked), batch):
            slates.extend(recommender.recommend(asked[start : start + batch], k))
    np.savez(out, users=np.array([request["user_id"] for request in asked]), items=np.array(slates))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
