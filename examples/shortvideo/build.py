# SPDX-License-Identifier: Apache-2.0
"""Makes the short-video platform: `python build.py OUT [--seed N]`. What it writes is in README.md beside this file."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from generator.clips import make_clips, make_creators
from generator.git import git, write_repository
from generator.panel import write_panel
from generator.people import make_people, watch
from generator.story import CHANGES, FIRST_EXPORT, change_branches, main_branch
from generator.warehouse import export, viewers_csv
from generator.world import NOW

VIEWERS = 5_000  # the platform's
PANEL = 3_000  # the reviewer's
SEED = 7


def build(place: Path, seed: int) -> None:
    """Writes repository, panel, warehouse and changes.json into an empty folder."""
    creators = make_creators(seed)
    clips = make_clips(seed, creators)

    viewers = make_people(seed, "users", VIEWERS)
    watched = watch(seed, "users", viewers, creators, clips)
    early, late = (export(creators, clips, viewers, watched, until) for until in (FIRST_EXPORT, NOW))
    repository = place / "repository"
    tips = write_repository(repository, [main_branch(early, late), *change_branches(seed, creators)])

    audience = make_people(seed, "panel", PANEL)
    write_panel(place / "panel", seed, creators, clips, audience, watch(seed, "panel", audience, creators, clips))

    (place / "warehouse").mkdir()
    (place / "warehouse" / "views.npz").write_bytes(late.views_npz)
    (place / "warehouse" / "viewers.csv").write_bytes(viewers_csv(viewers))
    changes = [
        {
            "number": change.number,
            "branch": change.branch,
            "title": change.title,
            "author": change.author.name,
            "email": change.author.email,
            "base": git(repository, "merge-base", "main", change.branch),
            "head": tips[change.branch],
        }
        for change in CHANGES
    ]
    (place / "changes.json").write_text(json.dumps(changes, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    """Builds beside OUT, then renames: OUT is whole or not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="a folder that does not exist yet, or is empty")
    parser.add_argument("--seed", type=int, default=SEED, help="another seed, another platform")
    arguments = parser.parse_args()
    out: Path = arguments.out.resolve()
    if arguments.seed < 0:
        parser.error(f"--seed {arguments.seed}: take a number from 0")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        parser.error(f"{out} exists and is not an empty folder; name another, or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        build(partial, arguments.seed)
        partial.chmod(0o755)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    print(f"{out}: repository, panel and {len(CHANGES)} changes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
