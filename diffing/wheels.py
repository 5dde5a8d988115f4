# SPDX-License-Identifier: Apache-2.0
"""What is in dependencies: the wheels of two wheelhouses, compared by the same facts as the change itself.

A wheel is a zip file that somebody else made: it is read within limits, never unpacked, imported or installed.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from diffing._compare import Comparison
from diffing._content import Change, Side
from diffing._evidence import cut, printable
from diffing.changes import NotAnalysed
from evidence import Finding, InputError, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from diffing.capabilities import Fields

MAX_WHEEL = 1 << 30
MAX_MEMBERS = 50_000
MAX_MEMBER = 4 << 20
MAX_READ = 256 << 20
_READ = (".py", ".pyi", ".json", ".yaml", ".yml", ".toml", ".pth", ".js", ".pkl", ".pickle", ".joblib")
_NATIVE = (".so", ".pyd", ".dll", ".dylib")
_METADATA = re.compile(r"^[^/]+\.dist-info/")
_TELLING = frozenset(
    {"capability-added", "destination-added", "data-field-exposed", "invisible-characters", "unsafe-artifact"}
)
_RANKING = frozenset({"literal-changed", "identity-special-case", "identity-list-added", "identity-list-changed"})


class Wheels(NamedTuple):
    """What differs between two wheelhouses."""

    findings: list[Finding]
    not_analysed: list[NotAnalysed]


def compare_wheels(base: Path, head: Path, fields: Fields | None = None) -> Wheels:
    """Capabilities, destinations, user data, and ranking defaults that differ between the wheels of two folders.

    Places are ``wheels/<distribution>/<path in it>``. A wheel that only head has is compared with nothing.

    Raises:
        InputError: a folder without wheels, a wheel whose name or content is none, or one beyond what is read.
    """
    old, new = _listed(base), _listed(head)
    comparison = Comparison(fields)
    result = Wheels([], [])
    for name, path in new.items():
        before = old.get(name)
        if before is not None and _sha256(before) == _sha256(path):
            continue
        _add(comparison, result, name, _members(before) if before is not None else {}, _members(path))
    outcome = comparison.finish()
    result.findings.extend(
        finding
        for finding in outcome.findings
        if finding.rule in _TELLING or (finding.rule in _RANKING and finding.severity.at_least(Severity.MEDIUM))
    )
    result.not_analysed.extend(outcome.not_analysed)
    return result


def _listed(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of wheels")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix != ".whl":
            continue
        try:
            name = str(parse_wheel_filename(path.name)[0])
        except InvalidWheelFilename as error:
            raise InputError(f"{path}: no name of a wheel") from error
        if name in found:
            raise InputError(f"{folder}: two wheels of {name}: {found[name].name} and {path.name}; keep one")
        found[name] = path
    if not found:
        raise InputError(f"{folder}: no wheels in it")
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _members(path: Path) -> dict[str, bytes | int]:
    """By path: the content of what is read, the checksum of what is not."""
    if path.stat().st_size > MAX_WHEEL:
        raise InputError(f"{path}: over {MAX_WHEEL:,} bytes")
    found: dict[str, bytes | int] = {}
    left = MAX_READ
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if len(infos) > MAX_MEMBERS:
                raise InputError(f"{path}: {len(infos):,} members, over {MAX_MEMBERS:,}")
            for info in infos:
                name = info.filename
                if info.is_dir() or _METADATA.match(name):
                    continue
                if name in found or name.startswith(("/", "..")) or "/../" in name or "\\" in name:
                    raise InputError(f"{path}: a member that leaves the wheel or is there twice: {name[:80]!r}")
                if not name.endswith(_READ) or info.file_size > MAX_MEMBER or info.flag_bits & 1:
                    found[name] = info.CRC
                    continue
                with archive.open(info) as member:
                    content = member.read(MAX_MEMBER + 1)
                left -= len(content)
                if left < 0 or len(content) > MAX_MEMBER:
                    raise InputError(f"{path}: more than {MAX_READ:,} bytes of code, or a member larger than it says")
                found[name] = content
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no wheel that can be read: {error}") from error
    return found


def _add(
    comparison: Comparison,
    result: Wheels,
    distribution: str,
    old: Mapping[str, bytes | int],
    new: Mapping[str, bytes | int],
) -> None:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        place = f"wheels/{distribution}/{printable(name)}"
        if isinstance(after, int) or isinstance(before, int):
            if after is not None:
                kind = "native code" if name.endswith(_NATIVE) else "a file that is not read"
                result.not_analysed.append(NotAnalysed(place, f"{kind} in a wheel", "binary"))
            continue
        if name.endswith(".pth") and after is not None and b"import" in after:
            result.findings.append(_startup(place, name))
        status = "added" if before is None else "removed" if after is None else "modified"
        comparison.add(Change(place, None, status, _side(before), _side(after)))  # type: ignore[arg-type]


def _side(content: bytes | None) -> Side | None:
    if content is None:
        return None
    return Side(hashlib.sha256(content).hexdigest(), "file", len(content), content)


def _startup(place: str, name: str) -> Finding:
    return Finding(
        "capability-added",
        Severity.HIGH,
        cut(f"Code that runs whenever Python starts: {name}"),
        "A .pth file with an import line is run by every interpreter of the environment.",
        Location(place),
        {"kind": "code", "package": name, "apis": [], "unresolved": True},
        (place, "startup"),
    )
