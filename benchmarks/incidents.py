# SPDX-License-Identifier: Apache-2.0
"""How long the minutely look for incidents takes: once over so many decisions with their rollouts, and after that.

Run as ``python -P benchmarks/incidents.py 20000``: without -P the benchmark of sign-off hides the room of that name.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from evidence import sha256_hex
from service import incidents, trust
from service.context import Context
from service.database import DecisionRow, RolloutRow
from service.settings import Settings


def _fill(context: Context, pairs: int, at: datetime) -> None:
    with context.database.write() as session:
        for number in range(pairs):
            head, revision, one, other = (sha256_hex(f"{kind} {number}".encode()) for kind in "hrdo")
            about = {"platform": "p", "repository": "r", "revision": f"sha256:{revision}", "head_commit": head[:40]}
            times = {"decided_at": at, "taken_at": at}
            session.add(DecisionRow(digest=f"sha256:{one}", gate="gate", passed=True, **about, **times))
            session.add(RolloutRow(digest=f"sha256:{other}", rolled_out_at=at, reported_at=at, **about))


def main(pairs: int) -> None:
    """Print the seconds of three looks in a row."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "platforms.toml").touch()
        context = Context.open(Settings(data_dir=Path(folder)))
        trust.prepare(context)
        _fill(context, pairs, datetime.now(UTC) - timedelta(days=2))
        for which in ("first", "second", "third"):
            start = time.perf_counter()
            opened = incidents.look(context, datetime.now(UTC))
            print(f"{which} look over {pairs} pairs: {time.perf_counter() - start:.4f} s, {opened} opened")
        context.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
