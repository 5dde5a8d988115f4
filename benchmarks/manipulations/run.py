# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E402 - threads are limited before numpy is loaded, and the folder is put on the path
"""The benchmark of manipulations: pairs of base and head whose truth is known, judged by Countersign and naive rules.

    python benchmarks/manipulations/run.py                    everything that is not in the rows yet, then the document
    python benchmarks/manipulations/run.py --pair LINE        one pair again, from its line in the rows
    python benchmarks/manipulations/run.py --table            the document from the rows there are
    python benchmarks/manipulations/run.py --small            a few plain pairs of each family, no document

Needs the ``benchmarks`` extra and COUNTERSIGN_DATA. Rows are appended as they come, so that a run which was stopped
goes on where it stopped. Trainings that many pairs share are kept in ``--cache``.
"""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(_name, "1")  # one process a core, one thread a process

import argparse
import csv
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import fields
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from jobs import Job, all_jobs, parse
from pairs import Bench, Row
from tables import write_document

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = HERE / "rows.csv"
DOCUMENT = HERE.parents[1] / "docs" / "detection.md"
SMALL = 0.001
SMALL_KINDS = ("reseed", "faster-code", "source-boost", "suppression", "first-screen", "one-cohort", "shuffle-lift")
_bench: Bench | None = None


def main() -> int:
    """Run, and write the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, default=HERE.parents[1] / "out" / "manipulations")
    parser.add_argument("--rows", type=Path, default=ROWS)
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--families", help="only these, by comma")
    parser.add_argument("--groups", help="only these groups of pairs, by comma")
    parser.add_argument("--until", type=float, default=1.0, help="only the first part of the work, 0 to 1")
    parser.add_argument("--pair", help="one pair, by its line")
    parser.add_argument("--table", action="store_true", help="only write the document")
    parser.add_argument("--small", action="store_true", help="a few plain pairs of each family")
    options = parser.parse_args()
    if options.pair:
        for name, value in Bench(options.cache).run(parse(options.pair)).line().items():
            print(f"{name:12} {value}")
        return 0
    if not options.table:
        chosen = options.families.split(",") if options.families else None
        jobs = all_jobs(SMALL if options.small else 1.0, chosen)
        jobs = strongest(jobs) if options.small else [job for job in jobs if job.turn <= options.until]
        if options.groups:
            jobs = [job for job in jobs if job.group in options.groups.split(",")]
        run(jobs, options.rows, options.cache, options.workers)
    if not options.small:
        write_document(options.rows, options.document)
    return 0


def strongest(jobs: list[Job]) -> list[Job]:
    """Of each family's kinds the one pair that should be plainest."""
    found: dict[tuple[str, str, str], Job] = {}
    for job in jobs:
        key = job.family, job.group, job.kind
        if (
            job.kind in SMALL_KINDS
            and job.group not in {"target", "benign-rebuilds"}
            and abs(job.size - 1.0) >= abs(found.get(key, job).size - 1.0)
        ):
            found[key] = job
    return list(found.values())


def run(jobs: list[Job], rows: Path, cache: Path, workers: int) -> None:
    """Run what the rows do not have yet, in turn; one line of progress a block."""
    done = _done(rows)
    left = [job for job in jobs if job.name not in done]
    blocks = list(_blocks(left))
    print(f"{len(jobs)} pairs, {len(jobs) - len(left)} done before", file=sys.stderr)
    start, finished = time.perf_counter(), 0
    rows.parent.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    with rows.open("a", newline="", encoding="utf-8") as file, ProcessPoolExecutor(workers, context) as pool:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        if not done:
            writer.writeheader()
        for future in as_completed([pool.submit(work, block, cache) for block in blocks]):
            for row in future.result():
                writer.writerow(row.line())
                finished += 1
            file.flush()
            seconds = time.perf_counter() - start
            rest = seconds / max(finished, 1) * (len(left) - finished)
            print(f"{finished}/{len(left)} pairs, {seconds:.0f} s, about {rest:.0f} s left", file=sys.stderr)


def work(block: list[Job], cache: Path) -> list[Row]:
    """One block of jobs in this process."""
    global _bench  # noqa: PLW0603 - one set of worlds and builds a process
    if _bench is None:
        _bench = Bench(cache)
    return [_bench.run(job) for job in block]


def _blocks(jobs: list[Job]) -> Iterator[list[Job]]:
    """Jobs of one family and one stretch of work together: they share their trainings."""
    stretches = sorted(jobs, key=lambda job: (round(job.turn, 2), job.family, job.replicate, job.kind))
    for _, block in groupby(stretches, key=lambda job: (round(job.turn, 2), job.family)):
        yield list(block)


def _done(rows: Path) -> set[str]:
    if not rows.exists() or not rows.stat().st_size:
        return set()
    with rows.open(encoding="utf-8", newline="") as file:
        return {line["pair"] for line in csv.DictReader(file)}


if __name__ == "__main__":
    sys.exit(main())
