# SPDX-License-Identifier: Apache-2.0
"""One pair: train or take from the cache, change, compare, and judge by the naive rules as well."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import kinds
import naive
import numpy as np
from families import FAMILIES, Build, Family
from jobs import RAMP, TRAINED, Job
from scipy import sparse
from worlds import World, load, thinned

from behavior import Slates, compare
from evidence import CellVerdict

if TYPE_CHECKING:
    from pathlib import Path

    from behavior import Audit, Cell, Panel

Array = np.ndarray[Any, np.dtype[Any]]

SEED = 10_000  # seeds below it were for tuning
SHOPPED = 16
_HELD = 40
_CACHED_REPLICATES = 8
_POOL, _POOLED = SEED + 70_000, 48  # seeds of the rebuilds that benign pairs share, and how many there are of each side
_FORBIDDING = ("excess-churn", "shipped-build-unlike-rebuilds")


@dataclass(frozen=True)
class Row:
    """What came of one pair; ``flagged`` is the planted cell, ``any`` is any primary cell."""

    pair: str
    family: str
    group: str
    kind: str
    size: float
    retrained: bool
    rebuilds: int
    k_only: bool
    true_ratio: float
    ratio: float
    adjusted_p: float
    statistic: str
    cell: str
    flagged: bool
    any: bool
    verdict: str
    findings: str
    share_rule: bool
    t_rule: bool
    drift_rule: bool
    seconds: float

    def line(self) -> dict[str, Any]:
        """As it is written: whole numbers for true and false, few digits."""
        return {key: int(value) if isinstance(value, bool) else value for key, value in asdict(self).items()}


class Bench:
    """Worlds and builds of one process; trainings that many pairs share are kept under ``cache``."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self._worlds: dict[str, World] = {}
        self._builds: OrderedDict[str, Build] = OrderedDict()

    def world(self, family: Family) -> World:
        """The family's world, with slates recorded as deep as the family asks."""
        if family.world not in self._worlds:
            self._worlds[family.world] = load(family.world, self.cache)
        return self._worlds[family.world]

    def data(self, family: Family, seed: int) -> World:
        """What a version is trained on; where no seed changes a family, each pair has its own nine tenths of events."""
        world = self.world(family)
        return world if family.seeded else thinned(world, seed, 0.9)

    def build(self, family: Family, seed: int, **options: float) -> Build:
        """A trained version: from memory, from the cache, or trained now."""
        key = f"{family.name}-{seed}-" + "-".join(f"{name}={value:.6g}" for name, value in sorted(options.items()))
        if key in self._builds:
            self._builds.move_to_end(key)
            return self._builds[key]
        shared = seed < SEED + 2 * _CACHED_REPLICATES or _POOL <= seed < _POOL + 2 * _POOLED
        kept = shared and not options and family.depth <= 100  # noqa: PLR2004
        path = self.cache / "builds" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
        if kept and path.exists():
            with np.load(path) as held:
                built = Build(held["rows"], held["scores"])
        else:
            built = family.train(self.data(family, seed), seed, options)
            if kept:
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_suffix(f".{time.time_ns()}.npz")
                np.savez(partial, rows=built.rows, scores=built.scores)
                partial.rename(path)
        self._builds[key] = built
        while len(self._builds) > (_HELD if family.depth <= 100 else 3):  # noqa: PLR2004
            self._builds.popitem(last=False)
        return built

    def run(self, job: Job) -> Row:
        """Try one pair."""
        start = time.perf_counter()
        family = FAMILIES[job.family]
        world = self.world(family)
        panel = world.matched if job.group == "explained" else world.panel
        if family.depth != panel.depth:
            panel = replace(panel, toml=panel.toml.model_copy(update={"depth": family.depth}))
        made = _Pair(self, family, world, job)
        base, head, true_ratio = made.sides()
        rebuilds = [[_slates(rows, job.k_only) for rows in side] for side in made.rebuilds()]
        sides = _slates(base, job.k_only), _slates(head, job.k_only)
        anchor = _slates(made.anchor(), job.k_only) if job.kind == "slow-ramp" else None
        # Nothing that the searching probes find makes an audit fail, and primary cells do not know of them.
        audit = compare(panel, *sides, anchor=anchor, base_rebuilds=rebuilds[0], head_rebuilds=rebuilds[1], only=())
        return _row(job, world, panel, audit, sides, true_ratio, time.perf_counter() - start)


class _Pair:
    """Base and head of one job."""

    def __init__(self, bench: Bench, family: Family, world: World, job: Job) -> None:
        self.bench, self.family, self.world, self.job = bench, family, world, job
        offset = 0 if job.group in {"planted", "target", "trained", "explained", "decoy"} else 100_000 * _number(job)
        self.seed = SEED + offset + 2 * job.replicate
        self.base = bench.build(family, self.seed)
        self.depth = family.depth

    def sides(self) -> tuple[Array, Array, float]:  # noqa: PLR0911 - one return a group of changes
        """Rankings of base and head, and the true ratio that was planted (1 where nothing was)."""
        base = self.base.ranking(self.depth)
        job = self.job
        if job.group in {"benign", "benign-rebuilds"}:
            return (*self._benign(base), 1.0)
        if job.group == "trained":
            return base, *self._trained(base)
        after = self._again()
        if job.group == "explained":
            if job.kind == "quality":
                other = self.bench.build(self.family, self.seed + 1)
                better = _blended(self.base, other) if self.family.seeded else self._tweaked(1.0)
                return base, better.ranking(self.depth), 1.0
            return base, kinds.explained(self.world, after, job.kind, self.depth), 1.0
        if job.kind == "shuffle-lift":
            return base, kinds.shuffled(self.world, after, self.depth, self.seed), 1.25
        if job.kind == "seed-shopping":
            everyone = kinds.everyone(self.world)
            tried = [
                self.bench.build(self.family, self.seed + 1 + 1000 * n).ranking(self.depth) for n in range(SHOPPED)
            ]
            return base, max(tried, key=lambda rows: kinds.share(self.world, rows, everyone)), 1.0
        if job.kind == "slow-ramp":
            boost = kinds.PLANTED["source-boost"]
            before, _ = kinds.planted(self.world, after, boost, RAMP[0] ** (RAMP[1] - 1), self.depth)
            rows, ratio = kinds.planted(self.world, after, boost, RAMP[0] ** RAMP[1], self.depth)
            return before, rows, ratio
        return base, *kinds.planted(self.world, after, kinds.PLANTED[job.kind], job.size, self.depth)

    def rebuilds(self) -> tuple[list[Array], list[Array]]:
        """Rankings of other seeds of base, and of head with the same change in it."""
        job = self.job
        before, after = [], []
        for number in range(job.rebuilds):
            if job.group == "benign-rebuilds":
                sides = self._rebuilt(_POOL + 2 * ((job.rebuilds * job.replicate + number) % _POOLED))
                before.append(sides[0].ranking(self.depth))
                after.append(sides[1].ranking(self.depth))
                continue
            seeds = self.seed + 50_000 + 1000 * number
            before.append(self.bench.build(self.family, seeds).ranking(self.depth))
            head = self.bench.build(self.family, seeds + 1)
            if job.kind == "shuffle-lift":
                after.append(kinds.shuffled(self.world, head, self.depth, seeds))
            elif job.group == "target":
                after.append(self._strength(head))
            else:
                after.append(head.ranking(self.depth))
        return before, after

    def _rebuilt(self, seed: int) -> tuple[Build, Build]:
        """Base and head of a benign change with two other seeds, which other pairs' rebuilds may have as well."""
        if self.job.kind == "hyperparameter":
            return self.bench.build(self.family, seed), self._tweaked(0.9, seed + 1)
        base = self._less(seed) if self.job.kind == "more-data" else self.bench.build(self.family, seed)
        return base, self.bench.build(self.family, seed + 1)

    def anchor(self) -> Array:
        """What was first signed."""
        return self._again().ranking(self.depth)

    def _again(self) -> Build:
        return self.bench.build(self.family, self.seed + 1) if self.job.retrained else self.base

    def _strength(self, head: Build) -> Array:
        """A rebuild with the constant that the shipped head has: the change is code, its strength is one."""
        rows, _ = kinds.planted(self.world, head, kinds.PLANTED[self.job.kind], self.job.size, self.depth)
        return rows

    def _less(self, seed: int) -> Build:
        """Trained on 3 % less than the data there is."""
        less = thinned(self.bench.data(self.family, self.seed), self.seed + 1, 0.97)
        return self.family.train(less, seed, {})

    def _tweaked(self, factor: float, seed: int | None = None) -> Build:
        name, value = self.family.tweak
        jitter = 1.0 + 0.02 * ((self.job.replicate % 11) - 5) if factor != 1.0 else 1.0
        if seed is None:
            seed = self.seed + 1 if self.family.seeded else self.seed
        return self.bench.build(self.family, seed, **{name: value * jitter})

    def _benign(self, base: Array) -> tuple[Array, Array]:
        job, kind = self.job, self.job.kind
        if kind == "reseed":
            return base, self.bench.build(self.family, self.seed + 1).ranking(self.depth)
        if kind == "hyperparameter":
            return base, self._tweaked(0.9).ranking(self.depth)
        if kind == "more-data":
            return self._less(self.seed).ranking(self.depth), base
        if kind == "faster-code":
            coarse = self.base.scores.astype(np.float16).astype(np.float32)
            return base, replace(self.base, scores=coarse).ranking(self.depth)
        turned = Build(self.base.rows[:, ::-1], self.base.scores[:, ::-1])
        assert kind == "refactor", job  # noqa: S101 - the list of kinds is closed
        return base, turned.ranking(self.depth)

    def _trained(self, base: Array) -> tuple[Array, float]:
        """A version trained with the same seed on data, or with weights, that favour the slice."""
        strength, seen = self.job.size, self.world.seen.tocsc().astype(np.float32)
        inside = np.flatnonzero(self.world.slice)
        if self.job.kind == "loss-weight":
            scale = np.ones(seen.shape[1], dtype=np.float32)
            scale[inside] += strength
            changed = sparse.csr_array(seen @ sparse.dia_array((scale[None, :], [0]), shape=(len(scale),) * 2))
        else:
            generator = np.random.default_rng([self.seed, 41])
            known = inside[np.asarray(seen[:, inside].sum(axis=0)).ravel() > 0]
            count = int(strength * 0.05 * seen.nnz)
            place = (generator.integers(0, seen.shape[0], count), generator.choice(known, count))
            fake = sparse.coo_array((np.ones(count, dtype=np.float32), place), shape=seen.shape).tocsr()
            changed = sparse.csr_array(seen.tocsr() + fake)
            changed.data[:] = 1.0
        built = self.family.train(replace(self.world, seen=changed), self.seed, {})
        # What a reader has clicked stays out of the slate, and what was made up does not count as clicked.
        rows = built.ranking(self.depth)
        everyone = kinds.everyone(self.world)
        return rows, kinds.share(self.world, rows, everyone) / kinds.share(self.world, base, everyone)


def _blended(first: Build, second: Build) -> Build:
    """Two models averaged where both offer an item: a better model than either."""
    scores = first.scores.copy()
    for user in range(len(scores)):
        place = {int(item): position for position, item in enumerate(second.rows[user])}
        for position, item in enumerate(first.rows[user]):
            other = place.get(int(item))
            if other is not None and np.isfinite(second.scores[user, other]):
                scores[user, position] = (scores[user, position] + second.scores[user, other]) / 2.0
    return replace(first, scores=scores)


def _number(job: Job) -> int:
    known = ("reseed", "hyperparameter", "more-data", "faster-code", "refactor")
    return 1 + known.index(job.kind) + (10 if job.group == "benign-rebuilds" else 0) + (20 if job.k_only else 0)


def _slates(rows: Array, k_only: bool) -> Slates:  # noqa: FBT001 - a job's own flag, passed on
    users = np.arange(len(rows), dtype=np.int32)
    return Slates(users, ("",) * len(users), np.ascontiguousarray(rows[:, : kinds.K]), None if k_only else rows)


def _row(
    job: Job, world: World, panel: Panel, audit: Audit, sides: tuple[Slates, Slates], true_ratio: float, seconds: float
) -> Row:
    probe = "anchor" if job.kind == "slow-ramp" else "exposure"
    cells = [cell for cell in audit.cells if cell.probe == probe]
    cohort = {"one-cohort": world.cohort, "other-cohort": world.other_cohort}.get(job.kind, {})
    cell = next(cell for cell in cells if cell.slice == world.planted and cell.cohort == cohort)
    exposures = [naive.exposures(panel, side) for side in sides]
    members = [group.members for group in panel.cohorts]
    return Row(
        pair=job.name,
        family=job.family,
        group=job.group,
        kind=job.kind,
        size=job.size,
        retrained=job.retrained,
        rebuilds=job.rebuilds,
        k_only=job.k_only,
        true_ratio=round(true_ratio, 4),
        ratio=round(cell.ratio or 0.0, 4),
        adjusted_p=round(cell.adjusted_p, 5),
        statistic=cell.statistic or "",
        cell=cell.verdict.value,
        flagged=_flagged(cell, panel),
        any=any(_flagged(other, panel) for other in cells),
        verdict=audit.verdict.value,
        findings=" ".join(sorted({finding.rule for finding in audit.findings if finding.rule in _FORBIDDING})),
        share_rule=naive.share_threshold(*exposures, members),
        t_rule=naive.user_t_test(*exposures, members),
        drift_rule=naive.drift(*sides, naive.sources(panel)),
        seconds=round(seconds, 2),
    )


def _flagged(cell: Cell, panel: Panel) -> bool:
    moved = {CellVerdict.AMPLIFIED, CellVerdict.SUPPRESSED, CellVerdict.SHIFTED}
    return cell.verdict in moved and cell.adjusted_p <= panel.toml.alpha


__all__ = ["TRAINED", "Bench", "Row"]
