# SPDX-License-Identifier: Apache-2.0
"""What a pickle would do, told without doing it: its opcodes and imports, and what two scanners say of it.

Nothing is ever loaded: pickletools reads opcodes, both scanners read the same, and this runs in the confined process.
"""

from __future__ import annotations

import io
import logging
import pickletools
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffing.artifacts.inside.words import in_a_line

if TYPE_CHECKING:
    from diffing.artifacts.inside.words import File

_MOST = 64 << 20  # bytes of a pickle that are listed
_MOST_OPCODES = 2_000_000
_MOST_NAMES = 200
_MAX_MEMBERS = 2_000
_STREAMS = (".pkl", ".pickle")
_TEXT = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "UNICODE", "BINUNICODE8", "SHORT_BINSTRING", "BINSTRING"})


def describe(file: File) -> dict[str, Any]:
    """Opcodes with their counts, imports as ``module.name``, and each scanner's verdict in a sentence."""
    streams, note = _streams(file)
    opcodes: Counter[str] = Counter()
    imports: set[str] = set()
    whole = True
    for data in streams:
        whole &= _list(data, opcodes, imports)
    return {
        "opcodes": dict(sorted(opcodes.items())),
        "imports": sorted(imports)[:_MOST_NAMES],
        "complete": whole and note is None,
        "note": note,
        "scanners": {"picklescan": _picklescan(streams), "fickling": _fickling(streams)} if streams else {},
    }


def _streams(file: File) -> tuple[list[bytes], str | None]:
    """The pickles of a file: itself, or those in a ZIP archive as torch writes it."""
    start = file.read(0, min(file.size, 8))
    if start.startswith(b"PK"):
        try:
            with Path(file.path).open("rb") as stream, zipfile.ZipFile(stream) as archive:
                entries = [entry for entry in archive.infolist() if entry.filename.endswith(_STREAMS)]
                found = []
                for entry in entries[:_MAX_MEMBERS]:
                    with archive.open(entry) as member:
                        found.append(member.read(_MOST))
                return found, None if found else "an archive without a pickle that is known by name"
        except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError) as error:
            return [], f"no archive that can be listed: {in_a_line(error)}"
    if start.startswith((b"\x89HDF", b"\x1f\x8b", b"x\x9c", b"x\x01", b"BZ", b"\xfd7zXZ")):
        return [], "HDF5 or compressed: it is not unpacked"
    if not start.startswith(b"\x80") and start[:1] not in b"(]}clNIJKMGSUVX":
        return [], "it does not begin as a pickle"
    return [file.read(0, min(file.size, _MOST))], None if file.size <= _MOST else "longer than is listed"


def _list(data: bytes, opcodes: Counter[str], imports: set[str]) -> bool:
    """Count opcodes and collect imports of one stream, which may hold several pickles; False if it breaks off."""
    stream = io.BytesIO(data)
    texts: list[str] = []
    try:
        while stream.tell() < len(data):
            for opcode, argument, _ in pickletools.genops(stream):
                opcodes[opcode.name] += 1
                if opcode.name in _TEXT:
                    texts = [*texts[-1:], str(argument)]
                elif opcode.name in {"GLOBAL", "INST"}:
                    imports.add(_shown(str(argument).replace(" ", ".", 1)))
                elif opcode.name == "STACK_GLOBAL":
                    imports.add(_shown(".".join(texts) if len(texts) == 2 else "(computed while loading)"))  # noqa: PLR2004 - module and name
                if sum(opcodes.values()) > _MOST_OPCODES:
                    return False
    except (ValueError, IndexError, OverflowError, UnicodeError):
        return False
    return True


def _picklescan(streams: list[bytes]) -> str:
    from picklescan.scanner import SafetyLevel, scan_pickle_bytes  # noqa: PLC0415 - only pickles need it

    worst, error = [], False
    for data in streams:
        quiet = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            result = scan_pickle_bytes(io.BytesIO(data), "pickle")
        finally:
            logging.disable(quiet)
        error |= bool(result.scan_err)
        worst += [
            f"{found.module}.{found.name}" for found in result.globals if found.safety is not SafetyLevel.Innocuous
        ]
    if worst:
        return _shown(f"imports what is not known to be harmless: {', '.join(sorted(set(worst))[:5])}")
    return "could not read all of it" if error else "nothing found"


def _fickling(streams: list[bytes]) -> str:
    from fickling.analysis import check_safety  # noqa: PLC0415 - only pickles need it
    from fickling.fickle import Pickled  # noqa: PLC0415 - only pickles need it

    said = []
    for data in streams:
        try:
            result = check_safety(Pickled.load(data))
        except Exception as error:  # noqa: BLE001 - a scanner that fails on a hostile file has told enough
            said.append(f"failed with {type(error).__name__}")
            continue
        said.append(result.severity.name.lower().replace("_", " "))
    return _shown(", ".join(sorted(set(said)))) if said else "nothing found"


def _shown(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:300]
