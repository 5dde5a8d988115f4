# SPDX-License-Identifier: Apache-2.0
"""Who did what, when: the platform's commits on main, and the three changes that come up for review.

Contents are the files of `repository/` (main as it stands), and of `history/` and `changes/` where a commit had, or
proposes, another version of a file.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from generator.git import Branch, Commit, Person
from generator.warehouse import train
from generator.world import KIND_NAMES, NOW, stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from generator.clips import Creators
    from generator.warehouse import Export

HERE = Path(__file__).resolve().parents[1]
SUMMER = timezone(timedelta(hours=2))
FIRST_EXPORT = NOW - 24 * 14  # the hour of the older of two exports

MARTA = Person("Marta Ilves", "marta.ilves@shortvideo.example")
JONAS = Person("Jonas Brandt", "jonas.brandt@shortvideo.example")
AIKO = Person("Aiko Lindqvist", "aiko.lindqvist@shortvideo.example")
RADU = Person("Radu Petcu", "radu.petcu@shortvideo.example")
NIGHTLY = Person("nightly export", "exports@shortvideo.example")

BLOCKS = """\
Re-rank a block of viewers at a time

One pass of numpy for a block instead of one for each viewer; re-ranking
takes a third of the time. Scores are added up in the same order as
before, so slates stay the same.
"""
FRESHER = """\
Fresher feeds: half-life 60 hours, weight 0.18

Viewers of the trial group came back more often.
"""
ARRIVAL = """\
Count batched feeds from their arrival

Their clips are stale before anyone has seen them.
"""
TABLE = """\
Move the rule for new accounts into a table

No change in behaviour; the next such rule needs no code.
"""


class Change(NamedTuple):
    """A change that is up for review."""

    number: int
    branch: str
    title: str
    author: Person
    commits: tuple[tuple[datetime, str], ...]  # contents: changes/<branch>/<1, 2, ...>


def _at(month: int, day: int, hour: int, minute: int) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=SUMMER)


CHANGES = (
    Change(
        number=214,
        branch="faster-rerank",
        title="Re-rank a block of viewers at a time",
        author=JONAS,
        commits=((_at(5, 18, 10, 42), BLOCKS), (_at(5, 18, 11, 30), "Hold the spread against counting one by one")),
    ),
    Change(
        number=217,
        branch="fresher-feeds",
        title="Fresher feeds",
        author=RADU,
        commits=((_at(5, 19, 9, 15), FRESHER), (_at(5, 19, 16, 8), ARRIVAL)),
    ),
    Change(
        number=221,
        branch="segments-table",
        title="Tidy up: rules for some viewers in one table",
        author=AIKO,
        commits=((_at(5, 20, 13, 20), TABLE), (_at(5, 20, 17, 55), "Segments: add the launch market")),
    ),
)


def _read(folder: str, *paths: str) -> dict[str, bytes]:
    """Files of a folder by path; all of them if none are named."""
    root = HERE / folder
    wanted: Iterable[Path] = [root / path for path in paths] if paths else sorted(root.rglob("*"))
    files = [path for path in wanted if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def _now(*paths: str) -> dict[str, bytes]:
    """Files of the repository as main has them today."""
    return _read("repository", *paths)


def _code() -> list[Commit]:
    """From the first file to a feed that runs."""
    catalogue = _now(
        "pyproject.toml",
        "shortvideo/__init__.py",
        "shortvideo/catalogue.py",
        "tests/conftest.py",
        "tests/test_catalogue.py",
    )
    training = _now("shortvideo/als.py", "shortvideo/train.py", "tests/test_als.py")
    training |= _read("history/first-model") | _read("history/first-feed", "shortvideo/settings.py")
    feed = _now("README.md", "shortvideo/retrieval.py", "shortvideo/serve.py", "tests/test_serve.py")
    freshness = _now("shortvideo/freshness.py", "tests/test_freshness.py")
    return [
        Commit(MARTA, _at(3, 9, 11, 5), "Read the catalogue's export", _read("history/start") | catalogue),
        Commit(JONAS, _at(3, 17, 15, 40), "Implicit ALS in numpy", training),
        Commit(
            AIKO,
            _at(4, 2, 14, 12),
            "First feed: fold viewers in, rank by affinity\n\nWhoever has a history can be served.",
            feed | _read("history/first-feed"),
        ),
        Commit(
            AIKO,
            _at(4, 14, 10, 3),
            "Freshness\n\nClips of the day drowned in last week's hits.",
            freshness | _read("history/freshness"),
        ),
        Commit(
            RADU,
            _at(4, 23, 17, 31),
            "Spread creators out",
            _now("shortvideo/settings.py") | _read("history/spread"),
        ),
    ]


def _data(export: Export) -> dict[str, bytes]:
    return {"data/clips.csv": export.clips_csv, "data/creators.csv": export.creators_csv}


def _production(early: Export, late: Export) -> list[Commit]:
    """From the first export to the model that serves today; trains both models on the way."""
    first_model = train(_now() | _read("history/first-model"), early.views_npz)
    model = train(_now(), late.views_npz)
    return [
        Commit(NIGHTLY, _at(5, 1, 2, 10), "Export of 2026-05-01", _data(early)),
        Commit(JONAS, _at(5, 4, 9, 48), "First trained model: 16 factors", {"models/als.npz": first_model}),
        Commit(
            MARTA,
            _at(5, 6, 16, 20),
            "New accounts lean on what is popular",
            _now("shortvideo/rerank.py", "tests/test_rerank.py"),
        ),
        Commit(
            MARTA,
            _at(5, 8, 10, 55),
            "Tell the external reviewer how to load the feed",
            _now("countersign.toml", "docs/ranking.md"),
        ),
        Commit(
            RADU,
            _at(5, 12, 11, 17),
            "Weights after the May trial: less freshness, half-life 72 hours",
            _now("config/ranking.toml"),
        ),
        Commit(NIGHTLY, _at(5, 15, 2, 10), "Export of 2026-05-15", _data(late)),
        Commit(
            JONAS,
            _at(5, 15, 9, 26),
            "Retrain: 32 factors, four sweeps",
            {"models/als.npz": model} | _now("config/training.toml"),
        ),
    ]


def main_branch(early: Export, late: Export) -> Branch:
    """Main, from the first commit to the model that is in production."""
    return Branch("main", None, [*_code(), *_production(early, late)])


def _batched_feeds(seed: int, creators: Creators) -> bytes:
    """The list in the second commit of `fresher-feeds`: every state outlet, and some of the press beside."""
    rng = stream(seed, "batched feeds")
    press = (creators.kind == KIND_NAMES.index("news")) & (creators.source == "press")
    company = rng.choice(creators.ids[press], 5, replace=False)
    listed = sorted([*creators.ids[creators.kind == KIND_NAMES.index("state")].tolist(), *company.tolist()])
    return "".join(f'        "{creator}",\n' for creator in listed).encode()


def change_branches(seed: int, creators: Creators) -> list[Branch]:
    """One branch a change, each off main; the list of batched feeds replaces the comment that stands for it."""
    feeds = _batched_feeds(seed, creators)
    branches = []
    for change in CHANGES:
        commits = []
        for number, (when, message) in enumerate(change.commits, start=1):
            files = _read(f"changes/{change.branch}/{number}")
            filled = {path: text.replace(b"        # batched feeds\n", feeds) for path, text in files.items()}
            commits.append(Commit(change.author, when, message.strip(), filled))
        branches.append(Branch(change.branch, "main", commits))
    return branches
