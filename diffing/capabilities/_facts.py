# SPDX-License-Identifier: Apache-2.0
"""What is read of the capabilities of one side of one file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffing.capabilities._calls import Call
    from diffing.capabilities.destinations import Destination
    from diffing.capabilities.fields import UserData
    from diffing.capabilities.tables import Reach


@dataclass(frozen=True, slots=True)
class Use:
    """One place where a file reaches out.

    ``api`` is the dotted name as imported, ``package`` its entry in the table. ``settled`` says that the
    destination is known, or that there is none to know. ``decoded`` says that text is decoded on its way into code.
    ``parameters`` are the parameters of the function it stands in that reach it. ``through`` are the functions on the
    way where it is a call that leads there, ``origin`` the file with the sink where that is another; ``fresh`` says
    that the call hands the destinations on.
    """

    reach: Reach
    api: str
    package: str
    symbol: str
    line: int
    end_line: int
    text: str
    destinations: tuple[Destination, ...] = ()
    settled: bool = True
    names: tuple[str, ...] = ()
    fields: frozenset[UserData] = frozenset()
    parameters: frozenset[str] = frozenset()
    decoded: bool = False
    called: bool = True
    quiet: bool = False
    through: tuple[str, ...] = ()
    origin: str = ""
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """A destination that is written down."""

    destination: Destination
    symbol: str
    line: int
    end_line: int
    name: str = ""
    setting: bool = False


@dataclass(slots=True)
class Capabilities:
    """The capabilities of one side of one file.

    ``calls`` are the functions of the file that each of them calls, ``parameters`` those of its functions and
    ``classes``, ``aliases`` what its imports bind, ``wide`` the packages that it imports whole, ``beyond`` the calls
    into other files of the repository, ``uncounted`` how many of those were too many to take down.
    """

    uses: list[Use] = field(default_factory=list)
    named: list[Named] = field(default_factory=list)
    imports: dict[str, tuple[Reach, int]] = field(default_factory=dict)
    calls: dict[str, set[str]] = field(default_factory=dict)
    entries: set[str] = field(default_factory=set)
    parameters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    classes: set[str] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)
    beyond: list[Call] = field(default_factory=list)
    wide: list[str] = field(default_factory=list)
    uncounted: int = 0
