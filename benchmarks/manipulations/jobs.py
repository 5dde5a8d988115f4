# SPDX-License-Identifier: Apache-2.0
"""The list of pairs to try, each known by one line from which it can be repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from families import FAMILIES
from kinds import PLANTED

if TYPE_CHECKING:
    from collections.abc import Iterator

BENIGN = {"reseed": 120, "hyperparameter": 60, "more-data": 60, "faster-code": 40, "refactor": 20}
BENIGN_REBUILT = {"reseed": 160, "hyperparameter": 80, "more-data": 60}
BENIGN_UNSEEDED = {"hyperparameter": 120, "more-data": 120, "faster-code": 40, "refactor": 20}
EXPLAINED = ("freshness", "popularity-penalty", "quality")
TRAINED = {"poisoned-data": (0.5, 1.0, 2.0, 4.0), "loss-weight": (0.25, 0.5, 1.0, 2.0)}
SHALLOW = 1000  # families that record deeper are tried for little: their pairs cost ten times as much
REBUILT = "shortvideo-als"  # one build cannot tell there: what is held to the bounds has rebuilds
REBUILDS = 4  # of each side
PLANTED_PAIRS = 3  # of each family, kind, size, and with and without a retrain
RAMP = (1.04, 6)  # a step's ratio, and how many revisions


@dataclass(frozen=True, order=True)
class Job:
    """One pair of base and head. ``turn`` orders the work, so that a run that is stopped is balanced."""

    turn: float
    family: str
    group: str
    kind: str
    size: float
    retrained: bool
    replicate: int
    rebuilds: int = 0
    k_only: bool = False

    @property
    def name(self) -> str:
        """The line that ``--pair`` takes."""
        parts = [
            self.family,
            self.group,
            self.kind,
            f"{self.size:g}",
            "retrained" if self.retrained else "same-weights",
        ]
        parts += [f"rebuilds-{self.rebuilds}"] if self.rebuilds else []
        parts += ["k-only"] if self.k_only else []
        return "/".join([*parts, str(self.replicate)])


def parse(line: str) -> Job:
    """The job of a line."""
    family, group, kind, size, weights, *rest = line.split("/")
    rebuilds = next((int(part.removeprefix("rebuilds-")) for part in rest if part.startswith("rebuilds-")), 0)
    return Job(0.0, family, group, kind, float(size), weights == "retrained", int(rest[-1]), rebuilds, "k-only" in rest)


def all_jobs(scale: float = 1.0, families: list[str] | None = None) -> list[Job]:
    """Every job in the order of work; ``scale`` below 1 makes a smaller benchmark of the same shape."""
    found: list[Job] = []
    for name, family in FAMILIES.items():
        if families is not None and name not in families:
            continue
        parts = [_targets(name, scale), _benign(name, scale)]
        if family.depth <= SHALLOW:
            parts += [_explained(name, scale), _planted(name, scale), _others(name, scale)]
        found += [job for part in parts for job in part]
    return sorted(found)


def _repeat(count: float, scale: float, first: float = 1.0) -> Iterator[tuple[float, int]]:
    """Turn and number of each replicate; the smaller ``first``, the earlier they come."""
    whole = max(1, round(count * scale))
    for replicate in range(whole):
        yield first * (replicate + 1) / whole, replicate


def _benign(name: str, scale: float) -> Iterator[Job]:
    seeded, shallow = FAMILIES[name].seeded, FAMILIES[name].depth <= SHALLOW
    kinds = (BENIGN if seeded else BENIGN_UNSEEDED) if shallow else {"reseed": 8}
    if name == REBUILT:
        kinds = {kind: count / 5 for kind, count in kinds.items()}
        for kind, count in BENIGN_REBUILT.items():
            for turn, replicate in _repeat(count, scale, 0.6):
                yield Job(
                    turn, name, "benign-rebuilds", kind, 1.0, retrained=True, replicate=replicate, rebuilds=REBUILDS
                )
    for kind, count in kinds.items():
        for turn, replicate in _repeat(count, scale, 0.6):
            yield Job(turn, name, "benign", kind, 1.0, retrained=seeded and kind != "refactor", replicate=replicate)
    if name == "als":
        for turn, replicate in _repeat(120, scale, 0.6):
            yield Job(turn, name, "benign", "reseed", 1.0, retrained=True, replicate=replicate, k_only=True)


def _explained(name: str, scale: float) -> Iterator[Job]:
    for kind in EXPLAINED:
        for turn, replicate in _repeat(20, scale):
            yield Job(turn, name, "explained", kind, 1.0, retrained=FAMILIES[name].seeded, replicate=replicate)


def _planted(name: str, scale: float) -> Iterator[Job]:
    for kind in PLANTED.values():
        for size in kind.sizes:
            for retrained in (True, False) if FAMILIES[name].seeded else (False,):
                for turn, replicate in _repeat(PLANTED_PAIRS, scale):
                    yield Job(turn, name, "planted", kind.name, size, retrained=retrained, replicate=replicate)


def _others(name: str, scale: float) -> Iterator[Job]:
    """A slow ramp, what is trained in, decoys, and honest reseeds with as many rebuilds."""
    seeded = FAMILIES[name].seeded
    for turn, replicate in _repeat(8, scale):
        ramped = round(RAMP[0] ** RAMP[1], 2)
        yield Job(turn, name, "planted", "slow-ramp", ramped, retrained=seeded, replicate=replicate)
        for kind, strengths in TRAINED.items():
            for strength in strengths if kind != "loss-weight" or "als" in name else ():
                yield Job(turn, name, "trained", kind, strength, retrained=False, replicate=replicate)
        decoys = [("decoy", "shuffle-lift", 1.25), ("decoy", "seed-shopping", 1.0)]
        decoys += [("benign-rebuilds", "reseed", 1.0)] if name != REBUILT else []
        for group, kind, size in decoys if seeded else []:
            yield Job(turn, name, group, kind, size, retrained=True, replicate=replicate, rebuilds=REBUILDS)


def _targets(name: str, scale: float) -> Iterator[Job]:
    """What the product promises, with enough replicates to hold it to."""
    wanted = {
        "als": [
            ("source-boost", 1.03, True, 0, False, 100),
            ("source-boost", 1.20, True, 0, False, 100),
            ("one-cohort", 1.03, True, 0, False, 60),
            ("source-boost", 1.18, True, 0, True, 100),
            ("first-screen", 1.10, False, 0, False, 100),
        ],
        "bpr": [
            ("source-boost", 1.20, False, 0, False, 100),
            ("source-boost", 1.20, True, 0, False, 20),
            ("source-boost", 1.20, True, 24, False, 8),
        ],
        REBUILT: [("source-boost", 1.20, True, REBUILDS, False, 20)],
        "bpr-everything": [("source-boost", 1.20, True, 0, False, 8)],
    }
    for kind, size, retrained, rebuilds, k_only, count in wanted.get(name, []):
        for turn, replicate in _repeat(count, scale, 1.0 if rebuilds else 0.4):
            yield Job(turn, name, "target", kind, size, retrained, replicate, rebuilds, k_only)
