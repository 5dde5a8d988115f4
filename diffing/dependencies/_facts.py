# SPDX-License-Identifier: Apache-2.0
"""What a dependency file declares."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Origin = Literal["registry", "git", "url", "path"]
_PINNED_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_EXACT = re.compile(r"={1,3}\s*v?[0-9][^,*]*$")


class Source(NamedTuple):
    """Where a dependency comes from; ``where`` is "" for the ecosystem's usual registry."""

    origin: Origin = "registry"
    where: str = ""
    revision: str = ""

    @property
    def fixed(self) -> bool:
        """Whether a git source names a whole commit id."""
        return bool(_PINNED_COMMIT.fullmatch(self.revision))

    def __str__(self) -> str:
        at = f" at {self.revision}" if self.revision else ""
        return f"{self.origin} {self.where}{at}" if self.where else self.origin


USUAL = Source()
"""The ecosystem's usual registry."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """One declared or locked dependency.

    ``requirement`` is the constraint as written, ``version`` the exact version where there is one, ``group`` what it
    is for ("" for running), ``locked`` whether a lock file says so.
    """

    name: str
    requirement: str
    line: int
    version: str | None = None
    source: Source = USUAL
    hashes: frozenset[str] = frozenset()
    group: str = ""
    locked: bool = False
    scripts: bool = False

    @property
    def free(self) -> bool:
        """Whether any version will do."""
        return (
            not self.locked and self.version is None and self.source.origin == "registry" and self.requirement in _ANY
        )

    @property
    def exact(self) -> bool:
        """Whether only one version will do."""
        return self.version is not None or bool(_EXACT.match(self.requirement))


_ANY = frozenset({"", "*", "latest", "x", ">=0", ">= 0", ">=0.0.0"})


@dataclass(slots=True)
class Declared:
    """Everything that one side of a dependency file says.

    ``indexes`` are other places to install from, with the line; ``options`` what weakens the installation.
    """

    ecosystem: str
    dependencies: list[Dependency] = field(default_factory=list)
    indexes: dict[str, int] = field(default_factory=dict)
    options: dict[str, int] = field(default_factory=dict)


class UnreadableError(Exception):
    """A dependency file that cannot be read; the message is the reason to name."""
