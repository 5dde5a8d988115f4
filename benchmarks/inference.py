# SPDX-License-Identifier: Apache-2.0
"""How long the inference takes and how much memory, beside RecTools, ranx and SciPy in the same run.

    python benchmarks/inference.py [--parts small,nemig,large] [--users N] [--others PYTHON] [--out docs/speed.md]

``small``: 20,000 users x 20 places x 5,000 items, one slice: the share of both sides with its interval, and the test
with 10,000 permutations; the others are given the same slates. ``nemig``: the whole ``compare`` command on real
readers, 70 slices x 11 cohorts. ``large``: 64 slices x 20 cohorts over a million items, from Parquet files that are
generated in a temporary folder; ``--users`` says for how many users (several, by comma, to see how it grows).

A tool that is not installed is skipped with a line. RecTools and ranx need other versions of NumPy than we do:
``--others`` names the Python of an environment that has them. Times are the least of several runs: by the clock, and
of the processor, by which tools are compared, since other work on the machine changes it less. The load of the machine
before and after is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import made
import numpy as np

from behavior import Slates, read_panel, write_slates
from behavior._permutation import Draws, Studentised, permute
from behavior._sampling import sample_exposure
from behavior._strata import strata
from behavior.churn import churn, item_shifts, null_moments
from behavior.exposure import measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from scipy import sparse

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("COUNTERSIGN_DATA", HERE.parents[1] / "shared" / "data")) / "nemig-de"
RUNS = 7
Row = tuple[str, str, str]
Array = np.ndarray[Any, np.dtype[Any]]


class Seconds(NamedTuple):
    """By the clock, and of the processor."""

    clock: float
    processor: float

    def __str__(self) -> str:
        if self.clock < 1:
            return f"{self.clock * 1000:.0f} ms ({self.processor * 1000:.0f} ms of processor)"
        return f"{self.clock:.1f} s ({self.processor:.1f} s of processor)"


def main() -> int:
    """Run the parts and print, or write, their tables; 0 if the numbers agree."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", default="small,nemig")
    parser.add_argument("--users", default="1000000")
    parser.add_argument("--others", type=Path, default=Path(sys.executable))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    parts = options.parts.split(",")
    before = os.getloadavg()[0]
    rows: list[Row] = []
    agreed = True
    with tempfile.TemporaryDirectory(prefix="countersign-speed-") as folder:
        if "small" in parts:
            found, agreed = small(Path(folder), options.others)
            rows += found
        if "nemig" in parts:
            rows += nemig(Path(folder))
        if "large" in parts:
            for users in options.users.split(","):
                rows += large(Path(folder), int(users))
    load = f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    machine = f"{os.cpu_count()} cores, CPython {platform.python_version()}, NumPy {np.__version__}; {load}"
    lines = [f"{machine}.", "", "| what | tool | figure |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    print("\n".join(lines))
    if options.out:
        page = options.out.read_text(encoding="utf-8")
        start, end = "<!-- figures -->\n", "<!-- end of figures -->"
        head, tail = page[: page.index(start) + len(start)], page[page.index(end) :]
        options.out.write_text(head + "\n" + "\n".join(lines) + "\n\n" + tail, encoding="utf-8")
    return 0 if agreed else 1


def small(folder: Path, others: Path) -> tuple[list[Row], bool]:
    """The share of both sides, and the test, of one slice."""
    made.panel(folder / "small", users=20_000, items=5_000, slices=1, cohorts=0, permutations=10_000, k=20)
    panel = read_panel(folder / "small")
    members = panel.membership.toarray().ravel() > 0
    base, head = made.slates(20_000, 5_000, 20, members)
    user = np.arange(20_000, dtype=np.int32)
    sides = [Slates(user, ("",) * 20_000, top, None) for top in (base, head)]

    share, sampled = least(lambda: sample_exposure(panel, measure(panel, *sides), "exposure"))
    measured = measure(panel, *sides)
    test, found = least(lambda: churn(panel, measured, "exposure"))
    once = "20,000 users x 20 x 5,000 items, share of both sides"
    again = "10,000 permutations"
    rows: list[Row] = [
        (f"{once}, with interval", "Countersign", str(share)),
        (f"{again} of items within strata, {len(found.statistics)} statistics", "Countersign", str(test)),
    ]
    shares = [float(sampled.base[0, 0]), float(sampled.base[0, 0] + sampled.difference[0, 0])]

    codes = strata(measured.sums, panel.match)
    names, shifts = item_shifts(measured.sums, codes)
    shift = np.ascontiguousarray(shifts[:, [names.index("top")]])
    member = members[measured.sums.items]
    p = one_stratum(panel.membership[measured.sums.items], shift)
    arrays = {"base": base, "head": head, "members": members, "shift": shift.ravel(), "member": member}
    np.savez(folder / "small.npz", **arrays)
    run = subprocess.run(
        [others, HERE / "others.py", folder / "small.npz"], stdout=subprocess.PIPE, text=True, check=True
    )
    agreed = True
    for line in run.stdout.splitlines():
        other = json.loads(line)
        if "skipped" in other:
            print(f"{other['tool']}: skipped: {other['skipped']}", file=sys.stderr)
            continue
        mine, theirs = (shares, other["shares"]) if "shares" in other else ([p], [other["p"]])
        exact = 1e-6 if "shares" in other else 4 * np.sqrt(max(p * (1 - p), 1e-4) / 10_000) * np.sqrt(2)
        same = other.get("same", True) is False or bool(np.allclose(mine, theirs, rtol=0, atol=exact))
        agreed &= same
        ours = share if "shares" in other else test
        theirs_took = Seconds(other["seconds"], other["processor"])
        times = theirs_took.processor / ours.processor
        what = f"{once if 'shares' in other else again}: {other['what']}"
        rows.append((what, other["tool"], f"{theirs_took}: {times:.0f} times as long"))
        if not same:
            print(f"{other['tool']}: {theirs} is not {mine}", file=sys.stderr)
    return rows, agreed


def one_stratum(labels: sparse.csr_array, shift: Array) -> float:
    """The p of all items in one stratum, as SciPy's test has it: without strata."""
    codes = np.zeros(len(shift), dtype=np.int64)
    mean, spread = null_moments(labels, shift, codes)
    cells = (1, 1, 1)
    z = (labels.T @ shift - mean) / spread
    null = Studentised(z.reshape(cells), mean.reshape(cells), (1 / spread).reshape(cells))
    _, count = permute(labels, shift, codes, null, ["primary"], Draws(10_000, 5, "one stratum"))
    return float((1 + count[0, 0]) / 10_001)


def nemig(folder: Path) -> list[Row]:
    """The whole command on NeMig: 70 slices x 11 cohorts, 2,000 permutations, imports included."""
    try:
        import nemig as real  # noqa: PLC0415 - needs the benchmarks extra
    except ImportError as error:
        print(f"nemig: skipped: {error}", file=sys.stderr)
        return []
    if not DATA.is_dir():
        print(f"nemig: skipped: no {DATA}", file=sys.stderr)
        return []
    panel = read_panel(DATA)
    members = panel.membership[:, [real.names(panel).index(real.SLICE)]].toarray().ravel() > 0
    nothing = np.zeros(panel.users.height, dtype=np.float32)
    paths = [folder / f"nemig-{side}.parquet" for side in ("base", "head")]
    for path, seed in zip(paths, (11, 12), strict=True):
        write_slates(real.train(panel, members, 32, seed).slates(panel, nothing), path, panel)
    seconds, peak = command(DATA, paths, runs=3)
    cells = f"{len(panel.slices)} slices x {len(panel.cohorts)} cohorts, {panel.toml.permutations:,} permutations"
    return [(f"NeMig, {cells}: the whole command", "Countersign", f"{seconds}, {peak / 1024:.0f} MB")]


def large(folder: Path, users: int) -> list[Row]:
    """The whole command over a million items from Parquet."""
    where = folder / f"large-{users}"
    made.panel(where, users=users, items=1_000_000, slices=64, cohorts=19, permutations=1000, k=20)
    paths = [where / f"{side}-slates.parquet" for side in ("base", "head")]
    made.slate_files(paths, users, items=1_000_000, places=50)
    size = sum(path.stat().st_size for path in paths) / 1e9
    seconds, peak = command(where, paths, runs=1)
    for path in paths:
        path.unlink()
    what = f"{users:,} users x 50 x 1,000,000 items, 64 slices x 20 cohorts, 1,000 permutations ({size:.1f} GB Parquet)"
    return [(f"{what}: the whole command", "Countersign", f"{seconds}, {peak / 1024 / 1024:.2f} GB")]


def command(panel: Path, paths: list[Path], runs: int) -> tuple[Seconds, float]:
    """The least times of ``countersign compare`` and its least peak memory in KiB."""
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "compare", *paths, "--panel", panel, "--format", "json"],
            cwd=HERE.parent,
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in {0, 1, 3}:
            raise SystemExit(f"compare ended with {process.returncode}")
        found.append((time.perf_counter() - start, usage.ru_utime + usage.ru_stime, float(usage.ru_maxrss)))
    clock, processor, peak = (min(each) for each in zip(*found, strict=True))
    return Seconds(clock, processor), peak


def least(run: Callable[[], Any], runs: int = RUNS) -> tuple[Seconds, Any]:
    """The least times of several runs, and what the last one gave."""
    times, result = [], None
    for _ in range(runs):
        start, ours = time.perf_counter(), time.process_time()
        result = run()
        times.append(Seconds(time.perf_counter() - start, time.process_time() - ours))
    return Seconds(min(each.clock for each in times), min(each.processor for each in times)), result


if __name__ == "__main__":
    sys.exit(main())
