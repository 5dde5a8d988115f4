# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E402 - the path is set before anything of that room is imported
"""Fuzz every parser of signoff, and the gate against the verifier that stands alone (tests/signoff/fuzzer.py).

    python benchmarks/fuzzing_signoff.py [--seconds N] [--seed N]

Ends with the first case that is neither read nor refused as it must be, and prints it with its seed, by which it is
found again; exit status 1 then. Prints what was tried.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1] / "tests" / "signoff")  # benchmarks/ has a file named signoff

from fuzzer import Fuzzer
from parsers import READERS


def main() -> int:
    """Fuzz until the time is up."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    steps: Counter[int | None] = Counter()
    documents = accepted = bundles = 0
    slowest = 0.0
    until, seed = time.process_time() + given.seconds, given.seed
    with tempfile.TemporaryDirectory() as folder:
        while time.process_time() < until:
            one = Fuzzer(seed)
            try:
                one.parsers(10)
                documents += one.tried
                one.verifiers(Path(folder), 50)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
                print(f"seed {seed}, case {one.tried + 1}: {type(error).__name__}: {error}", file=sys.stderr)
                return 1
            accepted, slowest, seed = accepted + one.accepted, max(slowest, one.slowest), seed + 1
            bundles += sum(one.steps.values())
            steps.update(one.steps)
    ends = ", ".join(
        f"{'none' if step is None else step} {times}"
        for step, times in sorted(steps.items(), key=lambda one: one[0] or 0)
    )
    print(
        f"{documents} documents to {len(READERS)} parsers, {accepted} of them accepted, the slowest {slowest:.2f} s; "
        f"{bundles} bundles to both verifiers, refused at the steps: {ends}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
