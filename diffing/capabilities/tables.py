# SPDX-License-Identifier: Apache-2.0
"""What a language's sink table says: which calls reach out of the program, and which argument says whereto."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from diffing._tree import Node


class Reach(StrEnum):
    """What a piece of code can do beyond computing."""

    HTTP = "http"
    SOCKET = "socket"
    CLOUD = "cloud"
    QUEUE = "queue"
    MAIL = "mail"
    PROCESS = "process"
    CODE = "code"  # code made or loaded while the program runs
    TELEMETRY = "telemetry"
    DATABASE = "database"
    FILE_WRITE = "file-write"
    FILE_READ = "file-read"
    ENVIRONMENT = "environment"
    RUNTIME = "runtime-value"  # flags and remote configuration
    LOG = "log"


OUTWARD = frozenset({Reach.HTTP, Reach.SOCKET, Reach.CLOUD, Reach.QUEUE, Reach.MAIL, Reach.TELEMETRY, Reach.PROCESS})
"""What takes data out of the program to somebody else."""


@dataclass(frozen=True, slots=True)
class Sink:
    """One call, or all calls below a dotted name, that reaches out.

    Args:
        reach: what it does.
        whereto: positions and keyword names of the arguments that name a destination, file, flag or variable.
        bare: also counts where it is named without being called (``handlers = [os.system]``).
        quiet: makes something that reaches out when its methods are called, and does nothing itself.
    """

    reach: Reach
    whereto: tuple[int | str, ...] = ()
    bare: bool = True
    quiet: bool = False


_WRITING = Sink(Reach.FILE_WRITE, bare=False)


@dataclass(frozen=True, slots=True, eq=False)
class SinkTable:
    """The sinks of one language.

    Args:
        sinks: by dotted name as it is imported; an entry stands for everything below it that has none of its own.
            ``None`` says that what is below does nothing.
        bindings: from an import statement to the names that it binds and the dotted names they stand for.
        methods: by the last name alone, for receivers whose type cannot be told; only names that say it all.
        opening: calls whose mode argument tells reading from writing: name to position of the mode.
        fetching: calls that look a member up by name: name to positions of object and name.
        builtins: names that are there without an import.
        loading: calls that import what their argument names.
        capitals: a name that starts with a capital makes an object, whose methods reach out.
        shared: files of a package see each other's names without an import.
        apart: methods stand beside their type, not in it.
    """

    sinks: Mapping[str, Sink | None]
    bindings: Callable[[Node], Iterator[tuple[str, str]]]
    methods: Mapping[str, Sink] = field(default_factory=dict)
    opening: Mapping[str, int] = field(default_factory=dict)
    fetching: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    builtins: frozenset[str] = frozenset()
    loading: frozenset[str] = frozenset()
    capitals: bool = True
    shared: bool = False
    apart: bool = False

    def find(self, name: str) -> tuple[str, Sink] | None:
        """The entry for a dotted name: the longest that it is or lies below."""
        at = len(name)
        while at > 0:
            prefix = name[:at]
            if prefix in self.sinks:
                sink = self.sinks[prefix]
                if sink is None:
                    return None
                if prefix in self.opening and at < len(name):  # what is done with an opened file
                    return (prefix, _WRITING) if name[at:] in {".write", ".writelines"} else None
                if not (sink.quiet and at < len(name)):
                    return prefix, sink
            at = max(name.rfind(".", 0, at), name.rfind("/", 0, at))
        return None


def sinks(reach: Reach, names: str, *whereto: int | str, bare: bool = True, quiet: bool = False) -> dict[str, Sink]:
    """The same entry for each of several dotted names."""
    return dict.fromkeys(names.split(), Sink(reach, whereto, bare, quiet))
