# SPDX-License-Identifier: Apache-2.0
"""Run one version of a recommender over the panel and record what it did. It is hostile: every answer is checked."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from behavior._requests import Asked, panel_requests, shuffled
from behavior.manifest import read_manifest
from behavior.quality import rank_biased_overlap
from behavior.slates import Slates
from confine import Attempt, Limits, Recommender
from evidence import VERSION, Digest, ManifestError, RecommenderError, document_digest, file_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from behavior.manifest import Manifest
    from behavior.panels import Panel
    from confine import Slate

Progress = Callable[[str], None]

RECORD_SCHEMA = "countersign/record/v2"
REPEATED = 200  # requests that are asked twice
_BATCH = 1024  # requests between two words of progress; a multiple of what confine sends at once


@dataclass(frozen=True)
class Side:
    """One version to run: its exported tree, its artifacts by declared name, and the digest of what it is."""

    tree: Path
    artifacts: Mapping[str, Path]
    digest: str


class SlateCache(Protocol):
    """Keeps what versions did by content, so that yesterday's head is today's base. Its content is trusted."""

    def get(self, key: Digest) -> bytes | None:
        """What was put under ``key``, or None."""

    def put(self, key: Digest, content: bytes) -> None:
        """Keep ``content``; the same key always comes with the same content."""


@dataclass(frozen=True)
class Recorded:
    """What one version did: slates, how many of the repeated requests were answered alike, what it attempted.

    ``overlap`` is the mean rank-biased overlap of the answers that were not alike; None where all were.
    """

    slates: Slates
    repeated: int
    alike: int
    overlap: float | None
    attempts: tuple[Attempt, ...]


def record(
    panel: Panel,
    side: Side,
    name: str,
    *,
    known_users: bool,
    limits: Limits | None,
    unsafe_no_sandbox: bool,
    progress: Progress,
    cache: SlateCache | None,
) -> Recorded:
    """Ask one version for slates of ``k``, a sample of them again, and deep slates; or take all that from the cache.

    Nothing that ran without a sandbox is cached.

    Raises:
        ManifestError: no usable manifest, or an artifact that is not there.
        RecommenderError: it failed, or a slate is too short, or holds an item that is not in the panel.
        SandboxMissingError: no working sandbox; nothing was run.
    """
    manifest = side_manifest(side, name)
    key = _cache_key(panel, side, manifest, known_users=known_users)
    if cache is not None and not unsafe_no_sandbox and (content := cache.get(key)) is not None:
        progress(f"{name}: slates from the cache")
        return _unpack(content)
    asked = panel_requests(panel, known_users=known_users)
    recommender = Recommender(
        side.tree,
        entrypoint=manifest.entrypoint,
        command=manifest.command,
        artifacts=side.artifacts,
        limits=limits,
        unsafe_no_sandbox=unsafe_no_sandbox,
    )
    progress(f"{name}: starting")
    with recommender:
        top = _ask(recommender, panel, shuffled(asked, panel, "top"), panel.k, f"{name}, slates of {panel.k}", progress)
        again = shuffled(asked, panel, "again")[:REPEATED]
        second = _ask(recommender, panel, again, panel.k, f"{name}, repeated", progress)
        deep: dict[int, Sequence[int]] = {}
        if panel.depth > panel.k:
            order = shuffled(asked, panel, "deep")
            deep = _ask(recommender, panel, order, panel.depth, f"{name}, deep slates of {panel.depth}", progress)
    recorded = Recorded(
        slates=Slates(
            user=np.array([each.user for each in asked], dtype=np.int32),
            context=tuple(each.context for each in asked),
            top=_block(top, len(asked)),
            deep=_deep_block(deep, panel.k),
        ),
        repeated=len(second),
        alike=sum(top[number] == items for number, items in second.items()),
        overlap=_overlap([(top[number], items) for number, items in second.items() if top[number] != items]),
        attempts=recommender.attempts,
    )
    if cache is not None and not unsafe_no_sandbox:
        cache.put(key, _pack(recorded))
    return recorded


def side_manifest(side: Side, name: str) -> Manifest:
    """The manifest of a side, its artifacts being there.

    Raises:
        ManifestError: it names the side.
    """
    try:
        manifest = read_manifest(side.tree)
    except ManifestError as error:
        raise ManifestError(f"{name}: {error}") from error
    for artifact, relative in manifest.artifacts.items():
        if artifact not in side.artifacts or not side.artifacts[artifact].is_file():
            raise ManifestError(f"{name}: artifacts.{artifact}: no file {relative!r}")
    return manifest


def _ask(
    recommender: Recommender, panel: Panel, asked: Sequence[Asked], k: int, what: str, progress: Progress
) -> dict[int, Sequence[int]]:
    """Item rows by request number, checked against the panel."""
    rows: dict[int, Sequence[int]] = {}
    for start in range(0, len(asked), _BATCH):
        batch = [each.request for each in asked[start : start + _BATCH]]
        for slate in recommender.recommend(batch, k):
            rows[slate.id] = _checked(slate, panel)
        progress(f"{what}: {len(rows):,} of {len(asked):,}")
    return rows


def _checked(slate: Slate, panel: Panel) -> Sequence[int]:
    """Item rows of a slate, which has at least ``k`` items; a deep slate may end before the depth asked for."""
    if len(slate.items) < panel.k:
        raise RecommenderError("too-few-items", f"{len(slate.items)} items where {panel.k} are needed")
    if len(set(slate.items)) != len(slate.items):
        raise RecommenderError("repeated-item", "a slate with one item twice")
    known = panel.item_rows
    try:
        return [known[item] for item in slate.items]
    except KeyError as error:
        raise RecommenderError("unknown-item", f"an item that is not in the panel: {error.args[0]!a}") from error


def _overlap(pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> float | None:
    """Mean rank-biased overlap, all at the length of the shortest slate; None without pairs."""
    if not pairs:
        return None
    shortest = min(min(len(first), len(second)) for first, second in pairs)
    first, second = (np.array([pair[side][:shortest] for pair in pairs], dtype=np.int32) for side in (0, 1))
    return float(rank_biased_overlap(first, second).mean())


def _block(rows: Mapping[int, Sequence[int]], count: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.array([rows[number] for number in range(count)], dtype=np.int32)


def _deep_block(rows: Mapping[int, Sequence[int]], k: int) -> np.ndarray[Any, np.dtype[np.int32]] | None:
    """Deep slates, all as long as the shortest, or None where that is no longer than ``k``."""
    length = min((len(items) for items in rows.values()), default=0)
    return _block({number: items[:length] for number, items in rows.items()}, len(rows)) if length > k else None


def _cache_key(panel: Panel, side: Side, manifest: Manifest, *, known_users: bool) -> Digest:
    return document_digest(
        {
            "schema": RECORD_SCHEMA,
            "tree": side.digest,
            "manifest": manifest.digest,
            "artifacts": {name: file_sha256(path) for name, path in side.artifacts.items()},
            "panel": panel.digest,
            "k": panel.k,
            "depth": panel.depth,
            "known_users": known_users,
            "version": VERSION,
        }
    )


def _pack(recorded: Recorded) -> bytes:
    """One npz without pickles: arrays as they are, the rest as JSON."""
    about = {
        "context": recorded.slates.context,
        "repeated": recorded.repeated,
        "alike": recorded.alike,
        "overlap": recorded.overlap,
        "attempts": [[attempt.kind, attempt.detail, attempt.count] for attempt in recorded.attempts],
    }
    arrays: dict[str, Any] = {"user": recorded.slates.user, "top": recorded.slates.top}
    if recorded.slates.deep is not None:
        arrays["deep"] = recorded.slates.deep
    buffer = io.BytesIO()
    np.savez_compressed(buffer, about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8), **arrays)
    return buffer.getvalue()


def _unpack(content: bytes) -> Recorded:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        about = json.loads(file["about"].tobytes())
        slates = Slates(
            user=file["user"],
            context=tuple(about["context"]),
            top=file["top"],
            deep=file["deep"] if "deep" in file.files else None,
        )
    return Recorded(
        slates=slates,
        repeated=about["repeated"],
        alike=about["alike"],
        overlap=about["overlap"],
        attempts=tuple(Attempt(*attempt) for attempt in about["attempts"]),
    )
