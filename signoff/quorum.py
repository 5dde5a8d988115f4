# SPDX-License-Identifier: Apache-2.0
"""Which witnesses must have cosigned a checkpoint: the policy file of c2sp.org/tlog-policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from evidence import InputError, PolicyError, VerificationError
from signoff.cosignatures import CosignerKey, open_cosignatures
from signoff.notes import NoteKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

QUORUM_LIMIT = 64 << 10
NO_WITNESS = b"none"
_MOST = 256  # logs, witnesses and groups
_STEP = "witness"


class Group(NamedTuple):
    """A group of witnesses and groups, of which ``threshold`` must have witnessed."""

    threshold: int
    members: tuple[bytes, ...]


class Witnessed(NamedTuple):
    """Who cosigned, by their keys' names, and from when on the quorum was complete; None where none is asked for."""

    by: tuple[str, ...]
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Quorum:
    """A policy as read. Names are bytes, compared as they are; URLs are kept for those who call the witnesses."""

    logs: tuple[NoteKey, ...]
    witnesses: Mapping[bytes, CosignerKey]
    urls: Mapping[bytes, str]
    groups: Mapping[bytes, Group]
    rule: bytes

    def check(self, note: bytes) -> Witnessed:
        """Check that enough witnesses cosigned a checkpoint.

        "Logged at" is the earliest time at which the quorum was complete: no witness outside the quorum moves it.

        Raises:
            VerificationError: too few did, or a cosignature of a known witness does not hold.
        """
        found = open_cosignatures(note, tuple(self.witnesses.values()))
        if self.rule == NO_WITNESS:
            return Witnessed(tuple(one.key.name for one in found), None)
        times = {one.key: one.at for one in found}
        named = {name: times[key] for name, key in self.witnesses.items() if key in times}
        at = self._complete(self.rule, named)
        if at is None:
            raise VerificationError(_STEP, f"cosigned by {len(named)} known witnesses; that is not the quorum")
        return Witnessed(tuple(one.key.name for one in found), at)

    def _complete(self, name: bytes, times: Mapping[bytes, datetime]) -> datetime | None:
        """When ``name`` had witnessed; None if it has not."""
        group = self.groups.get(name)
        if group is None:
            return times.get(name)
        known = [at for member in group.members if (at := self._complete(member, times)) is not None]
        return sorted(known)[group.threshold - 1] if len(known) >= group.threshold else None


def parse_quorum(data: bytes, what: str = "witness policy") -> Quorum:
    """Read a policy file.

    Raises:
        PolicyError: the first line that is not one; a name twice or unknown, a key twice, a threshold that nobody can
            meet, a member of two groups; none or several quorum lines.
    """
    if len(data) > QUORUM_LIMIT:
        raise PolicyError(f"{what}: {len(data)} bytes, over the limit of {QUORUM_LIMIT}")
    if any((byte < 0x20 and byte not in b"\t\n") or byte == 0x7F for byte in data):  # noqa: PLR2004 - ASCII's controls
        raise PolicyError(f"{what}: a control character in it")
    reading = _Reading()
    for number, line in enumerate(data.split(b"\n"), 1):
        words = line.replace(b"\t", b" ").split(b" ")
        words = [word for word in words if word]
        if not words or words[0].startswith(b"#"):
            continue
        try:
            reading.take(words)
        except InputError as error:
            raise PolicyError(f"{what}: line {number}: {error}") from error
    if reading.rule is None:
        raise PolicyError(f"{what}: no quorum line; write 'quorum none' if no witness is asked for")
    logs = tuple(reading.logs)
    return Quorum(logs, reading.witnesses, reading.urls, reading.groups, reading.rule)


class _Reading:
    """A policy as far as it was read."""

    def __init__(self) -> None:
        self.logs: list[NoteKey] = []
        self.witnesses: dict[bytes, CosignerKey] = {}
        self.urls: dict[bytes, str] = {}
        self.groups: dict[bytes, Group] = {}
        self.members: set[bytes] = set()
        self.rule: bytes | None = None

    def take(self, words: Sequence[bytes]) -> None:
        kind, rest = words[0], words[1:]
        if kind == b"log" and len(rest) in {1, 2}:
            self._log(rest)
        elif kind == b"witness" and len(rest) in {2, 3}:
            self._witness(rest)
        elif kind == b"group" and len(rest) > 2:  # noqa: PLR2004 - a name, a threshold and a member
            self._group(rest[0], rest[1], rest[2:])
        elif kind == b"quorum" and len(rest) == 1:
            if self.rule is not None:
                raise InputError("a second quorum")
            if rest[0] != NO_WITNESS and rest[0] not in self.witnesses and rest[0] not in self.groups:
                raise InputError(f"no witness or group {_shown(rest[0])} before it")
            self.rule = rest[0]
        else:
            raise InputError("neither a log, a witness, a group nor a quorum")
        if max(len(self.logs), len(self.witnesses), len(self.groups)) > _MOST:
            raise InputError(f"more than {_MOST} of a kind")

    def _log(self, rest: Sequence[bytes]) -> None:
        key = NoteKey.from_vkey(_text(rest[0]))
        if any(known.public == key.public for known in self.logs):
            raise InputError("a log's key for the second time")
        self.logs.append(key)

    def _witness(self, rest: Sequence[bytes]) -> None:
        key = CosignerKey.from_vkey(_text(rest[1]))
        if any(known.public == key.public for known in self.witnesses.values()):
            raise InputError("a witness's key for the second time")
        self.witnesses[self._fresh(rest[0])] = key
        if len(rest) == 3:  # noqa: PLR2004 - with a URL
            self.urls[rest[0]] = _text(rest[2])

    def _group(self, name: bytes, threshold: bytes, members: Sequence[bytes]) -> None:
        for member in members:
            if member not in self.witnesses and member not in self.groups:
                raise InputError(f"no witness or group {_shown(member)} before it")
            if member in self.members:
                raise InputError(f"{_shown(member)} is a member for the second time")
            self.members.add(member)
        words = {b"any": 1, b"all": len(members)}
        if threshold not in words and not (threshold.isdigit() and len(threshold) < 4 and threshold[:1] != b"0"):  # noqa: PLR2004
            raise InputError("the threshold is neither any, all nor a number")
        needed = words[threshold] if threshold in words else int(threshold)
        if needed > len(members):
            raise InputError(f"{needed} of {len(members)}: nothing could meet it")
        self.groups[self._fresh(name)] = Group(needed, tuple(members))

    def _fresh(self, name: bytes) -> bytes:
        if name == NO_WITNESS or name in self.witnesses or name in self.groups:
            raise InputError(f"the name {_shown(name)} is taken")
        return name


def _text(word: bytes) -> str:
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("a key or address that is not UTF-8") from error


def _shown(name: bytes) -> str:
    return repr(name.decode("utf-8", "replace")[:60])
