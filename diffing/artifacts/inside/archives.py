# SPDX-License-Identifier: Apache-2.0
"""ZIP and TAR with limits: what is in them, as files. Members that lead out, repeat, overlap or swell are refused."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from diffing.artifacts.inside.scratch import spool
from diffing.artifacts.inside.words import File, RefusedError, inner_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

MAX_MEMBERS = 10_000
_MAX_RATIO = 200  # unpacked over packed, for members of more than a mebibyte
_SMALL = 1 << 20
_CHUNK = 1 << 20
_LOCAL = 30  # bytes of a local header before its name (APPNOTE.TXT 4.3.7)
_LINK = 0o120000
_TAIL = (1 << 16) + 22 + 20 + 56  # a comment and the last three records
_MAX_DIRECTORY = MAX_MEMBERS * 1024
_IN_THE_OTHER = 0xFFFFFFFF


class Member(NamedTuple):
    """A member: its path, and the range of a file where its bytes lie unpacked."""

    name: str
    file: File
    offset: int
    size: int


def members(file: File) -> list[Member]:
    """All regular members of a ZIP or TAR archive, in the order of their names.

    Raises:
        RefusedError: no archive, or one that is not safe to unpack.
    """
    if file.suffix == ".tar" and not _is_tar(file):
        raise RefusedError("no TAR archive that can be read: it is empty, or of another format")
    found = _tar(file) if _is_tar(file) else _zip(file)
    twice = [name for name, count in Counter(member.name for member in found).items() if count > 1]
    if twice:
        raise RefusedError(f"two members are called {min(twice)!r}")
    return sorted(found, key=lambda member: member.name)


def _is_tar(file: File) -> bool:
    return file.size > 262 and file.read(257, 5) == b"ustar"  # noqa: PLR2004 - where POSIX puts the magic


def _zip(file: File) -> list[Member]:
    try:
        _refuse_many(file)
        with Path(file.path).open("rb") as stream, zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_MEMBERS:
                raise RefusedError(f"{len(entries):,} members, more than {MAX_MEMBERS:,}")
            _refuse_overlap(entries, file, archive.start_dir)
            return [_zip_member(archive, entry, file) for entry in entries if not entry.is_dir()]
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise RefusedError(f"no ZIP archive that can be read: {' '.join(str(error).split())[:120]}") from error


def _refuse_many(file: File) -> None:
    """Hold the length of the directory against what that many members take, before it is read as a whole.

    The last record of a ZIP says it, or one before that with eight bytes for it (APPNOTE.TXT 4.3.14 and 4.3.16).
    """
    tail_at = max(0, file.size - _TAIL)
    tail = file.read(tail_at, file.size - tail_at)
    sizes = [
        int.from_bytes(tail[at + start : at + start + width], "little")
        for mark, start, width in ((b"PK\5\6", 12, 4), (b"PK\6\6", 40, 8))
        if (at := tail.rfind(mark)) >= 0
    ]
    plain = [size for size in sizes if size != _IN_THE_OTHER]
    if max(plain, default=0) > _MAX_DIRECTORY:
        raise RefusedError(f"a directory of {max(plain):,} bytes, for more than {MAX_MEMBERS:,} members")


def _refuse_overlap(entries: list[zipfile.ZipInfo], file: File, directory: int) -> None:
    """Members share no bytes, and none lie before the first: the trick of a bomb that names one range many times."""
    at = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < at:
            raise RefusedError(f"member {entry.filename[:80]!r} overlaps another")
        if at == 0 and entry.header_offset != 0:
            raise RefusedError("bytes before the first member: a file that is two things is not read")
        local = file.read(entry.header_offset, _LOCAL)
        names = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        at = entry.header_offset + _LOCAL + names + entry.compress_size
    if at > directory:
        raise RefusedError("a member reaches into the directory of the archive")


def _zip_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, file: File) -> Member:
    name = inner_path(entry.filename)
    if entry.flag_bits & 1:
        raise RefusedError(f"member {name!r} is encrypted")
    if (entry.external_attr >> 16) & 0o170000 == _LINK:
        raise RefusedError(f"member {name!r} is a symbolic link")
    with archive.open(entry) as stream:
        if entry.compress_type == zipfile.ZIP_STORED:
            if entry.file_size != entry.compress_size:
                raise RefusedError(f"member {name!r}: two lengths for the same bytes")
            local = file.read(entry.header_offset, _LOCAL)
            names = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
            _hold_sum(stream)
            return Member(name, file, entry.header_offset + _LOCAL + names, entry.file_size)
        if entry.file_size > _SMALL and entry.file_size > _MAX_RATIO * max(entry.compress_size, 1):
            raise RefusedError(f"member {name!r} swells from {entry.compress_size:,} to {entry.file_size:,} bytes")
        unpacked = spool(name, _chunks(stream, entry.file_size, name))
    return Member(name, unpacked, 0, unpacked.size)


def _hold_sum(stream: IO[bytes]) -> None:
    """Read a stored member to its end, where its checksum is held against its bytes."""
    while stream.read(_CHUNK):
        pass


def _chunks(stream: IO[bytes], announced: int, name: str) -> Iterator[bytes]:
    total = 0
    while chunk := stream.read(_CHUNK):
        total += len(chunk)
        if total > announced:
            raise RefusedError(f"member {name!r} is longer than it says")
        yield chunk
    if total != announced:
        raise RefusedError(f"member {name!r} is shorter than it says")


def _tar(file: File) -> list[Member]:
    found: list[Member] = []
    try:
        with tarfile.open(file.path, "r:") as archive:
            for entry in archive:
                if len(found) >= MAX_MEMBERS:
                    raise RefusedError(f"more than {MAX_MEMBERS:,} members")
                name = inner_path(entry.name)
                if entry.isdir():
                    continue
                if not entry.isreg() or entry.issparse():
                    raise RefusedError(f"member {name!r} is a link, a device or another special file")
                if entry.offset_data + entry.size > file.size:
                    raise RefusedError(f"member {name!r} is cut off")
                found.append(Member(name, file, entry.offset_data, entry.size))
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise RefusedError(f"no TAR archive that can be read: {' '.join(str(error).split())[:120]}") from error
    return found
