# SPDX-License-Identifier: Apache-2.0
"""ZIP and TAR with limits: what is in them, as files. Members that lead out, repeat, overlap or swell are refused."""

from __future__ import annotations

import lzma
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from diffing.artifacts.inside.scratch import spool
from diffing.artifacts.inside.words import File, RefusedError, in_a_line, inner_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

MAX_MEMBERS = 10_000
_MAX_RATIO = 200  # unpacked over packed, for members of more than a mebibyte
_SMALL = 1 << 20
_CHUNK = 1 << 20
_LOCAL = struct.Struct("<4s5H3I2H")  # a local header before its name (APPNOTE.TXT 4.3.7)
_END = struct.Struct("<4s4H2IH")  # the last record (4.3.16)
_END_64 = struct.Struct("<4sQ2H2I4Q")  # the one before it with eight bytes a number (4.3.14)
_LOCATOR = 20  # bytes that say where that is
_TAIL = (1 << 16) + _END.size + _LOCATOR + _END_64.size
_MAX_DIRECTORY = MAX_MEMBERS * 1024
_IN_THE_OTHER, _MANY = 0xFFFFFFFF, 0xFFFF
_ENCRYPTED, _SAID_BEHIND = 1, 8  # bits of a member's flags
_BEHIND = frozenset({12, 16, 20, 24})  # bytes of what may be said behind a member: checksum and lengths (4.3.9)
_LENGTHS, _OTHER_NAME = 0x0001, 0x7075  # extra fields (4.5.3 and 4.6.9)
_BLOCK = 512
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error)


class Member(NamedTuple):
    """A member: its path, and the range of a file where its bytes lie unpacked."""

    name: str
    file: File
    offset: int
    size: int


def members(file: File, *, unpacked: bool = True) -> list[Member]:
    """All regular members of a ZIP or TAR archive, in the order of their names.

    Args:
        file: the archive.
        unpacked: whether its members become files somewhere, where names that differ in case may be one; arrays of an
            ``.npz`` never do.

    Raises:
        RefusedError: no archive, one that is not safe to unpack, or one of which two programs would unpack other files.
    """
    if file.suffix == ".tar" and not _is_tar(file):
        raise RefusedError("no TAR archive that can be read: it is empty, or of another format")
    found = _tar(file) if _is_tar(file) else _zip(file)
    _refuse_alike([member.name for member in found], unpacked=unpacked)
    return sorted(found, key=lambda member: member.name)


def _is_tar(file: File) -> bool:
    return file.size > 262 and file.read(257, 5) == b"ustar"  # noqa: PLR2004 - where POSIX puts the magic


def _path(name: str) -> str:
    """A member's path as it is unpacked: with slashes, and without steps that lead nowhere."""
    return PurePosixPath(inner_path(name).replace("\\", "/")).as_posix()


def _refuse_alike(paths: list[str], *, unpacked: bool) -> None:
    """Refuse members of which one takes the place of the other, at the latest where case does not count."""
    seen: dict[str, str] = {}
    for path in paths:
        key = unicodedata.normalize("NFKC", path).casefold() if unpacked else path
        if key in seen:
            other = seen[key]
            raise RefusedError(
                f"two members are called {path!r}"
                if other == path
                else f"members {min(other, path)!r} and {max(other, path)!r} have the same name on many a system"
            )
        seen[key] = path
    for key, path in seen.items():
        above = next((str(one) for one in PurePosixPath(key).parents if str(one) in seen), None)
        if above is not None:
            raise RefusedError(f"member {seen[above]!r} is a file, and a folder for {path!r}")


def _zip(file: File) -> list[Member]:
    try:
        directory = _directory(file)
        with Path(file.path).open("rb") as stream, zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_MEMBERS:
                raise RefusedError(f"{len(entries):,} members, more than {MAX_MEMBERS:,}")
            if (archive.start_dir, len(entries)) != (directory.offset, directory.entries):
                raise RefusedError("a directory that is not what the last record of the archive says")
            _refuse_holes(entries, file, archive.start_dir)
            files = [entry for entry in entries if not _is_folder(entry)]
            return [_zip_member(archive, entry, file) for entry in files]
    except (*_BROKEN, EOFError, OSError, RuntimeError, ValueError) as error:
        raise RefusedError(f"no ZIP archive that can be read: {in_a_line(error)}") from error


class _Directory(NamedTuple):
    """What an archive's last record says of its directory."""

    offset: int
    entries: int


def _directory(file: File) -> _Directory:
    """Where the directory lies and how many members it has, held before it is read as a whole.

    The last record ends the file but for a comment, in which no other may stand: one program looks for it from the
    front and another from the back.
    """
    tail_at = max(0, file.size - _TAIL)
    tail = file.read(tail_at, file.size - tail_at)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or at + _END.size > len(tail):
        raise RefusedError("no ZIP archive that can be read: no directory at its end")
    *_, count, size, offset, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment != len(tail):
        raise RefusedError("bytes behind the directory of the archive: a file that is two things is not read")
    before = at - _LOCATOR - _END_64.size
    if before >= 0 and tail.startswith(b"PK\6\7", at - _LOCATOR) and tail.startswith(b"PK\6\6", before):
        *_, wide_count, wide_size, wide_offset = _END_64.unpack_from(tail, before)
        count = wide_count if count == _MANY else count
        size = wide_size if size == _IN_THE_OTHER else size
        offset = wide_offset if offset == _IN_THE_OTHER else offset
        at = before
    if size > _MAX_DIRECTORY:
        raise RefusedError(f"a directory of {size:,} bytes, for more than {MAX_MEMBERS:,} members")
    if offset + size != tail_at + at:
        raise RefusedError("bytes before the first member, or a directory that does not end where its end is said")
    return _Directory(offset, count)


def _refuse_holes(entries: list[zipfile.ZipInfo], file: File, directory: int) -> None:
    """Members lie one behind the other, from the first byte to the directory.

    One range that is named many times is the trick of a bomb; bytes between two members are a member to whoever reads
    an archive from its front.
    """
    at, last = 0, None
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if last is None and entry.header_offset:
            raise RefusedError("bytes before the first member: a file that is two things is not read")
        _refuse_hole(entry.header_offset - at, last, f"member {entry.filename[:80]!r} overlaps another")
        at, last = entry.header_offset + _local(entry, file) + entry.compress_size, entry
    _refuse_hole(directory - at, last, "a member reaches into the directory of the archive")


def _refuse_hole(gap: int, last: zipfile.ZipInfo | None, overlaps: str) -> None:
    if gap < 0:
        raise RefusedError(overlaps)
    if gap and (last is None or not last.flag_bits & _SAID_BEHIND or gap not in _BEHIND):
        behind = f"member {last.filename[:80]!r}" if last is not None else "the start"
        raise RefusedError(f"{gap:,} bytes behind {behind} belong to no member that the directory lists")


def _local(entry: zipfile.ZipInfo, file: File) -> int:
    """The length of a member's local header; what it says is held against the directory."""
    mark, _, flags, method, _, _, checksum, packed, size, name, extra = _LOCAL.unpack(
        file.read(entry.header_offset, _LOCAL.size)
    )
    fields = _extra(file.read(entry.header_offset + _LOCAL.size + name, extra))
    if _OTHER_NAME in fields or _OTHER_NAME in _extra(entry.extra):
        raise RefusedError(f"member {entry.filename[:80]!r} has another name for some programs")
    if _IN_THE_OTHER in (packed, size):
        size, packed = struct.unpack_from("<2Q", fields.get(_LENGTHS, b""))
    said = (checksum, packed, size)
    differs = said != (entry.CRC, entry.compress_size, entry.file_size)
    if mark != b"PK\3\4" or method != entry.compress_type or (differs and not flags & _SAID_BEHIND):
        raise RefusedError(f"member {entry.filename[:80]!r} is another one by its own header than by the directory")
    return _LOCAL.size + int(name) + int(extra)


def _extra(raw: bytes) -> dict[int, bytes]:
    """Extra fields by their number; what is no field ends them, as it does for others."""
    fields, at = {}, 0
    while at + 4 <= len(raw):
        kind, length = struct.unpack_from("<2H", raw, at)
        fields[kind] = raw[at + 4 : at + 4 + length]
        at += 4 + length
    return fields


def _is_folder(entry: zipfile.ZipInfo) -> bool:
    """Whether an entry is a folder; what is neither one nor a plain file is refused."""
    name = _path(entry.filename)
    if entry.orig_filename.encode("utf-8", "surrogatepass").find(b"\0") >= 0:
        raise RefusedError(f"member {name!r} has a zero byte in its name: programs see another one")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise RefusedError(f"member {name!r} is a symbolic link")
    if kind not in (0, stat.S_IFDIR if entry.is_dir() else stat.S_IFREG):
        raise RefusedError(f"member {name!r} is a device or another special file")
    if entry.is_dir() and entry.file_size:
        raise RefusedError(f"member {name!r} is a folder that holds {entry.file_size:,} bytes")
    return entry.is_dir()


def _zip_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, file: File) -> Member:
    name = _path(entry.filename)
    if entry.flag_bits & _ENCRYPTED:
        raise RefusedError(f"member {name!r} is encrypted")
    with archive.open(entry) as stream:
        if entry.compress_type == zipfile.ZIP_STORED:
            if entry.file_size != entry.compress_size:
                raise RefusedError(f"member {name!r}: two lengths for the same bytes")
            _hold_sum(stream)
            return Member(name, file, entry.header_offset + _local(entry, file), entry.file_size)
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
                name = _path(entry.name)
                if entry.isdir():
                    continue
                if not entry.isreg() or entry.issparse():
                    raise RefusedError(f"member {name!r} is a link, a device or another special file")
                if "size" in entry.pax_headers:
                    raise RefusedError(f"member {name!r} has two lengths, of which programs take one or the other")
                if entry.offset_data + entry.size > file.size:
                    raise RefusedError(f"member {name!r} is cut off")
                found.append(Member(name, file, entry.offset_data, entry.size))
            _hold_end(file, archive.offset)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise RefusedError(f"no TAR archive that can be read: {in_a_line(error)}") from error
    return found


def _hold_end(file: File, at: int) -> None:
    """Two blocks of zeros end an archive, and only zeros follow: others read on where the library stops."""
    if at + 2 * _BLOCK > file.size or file.size % _BLOCK:
        raise RefusedError("cut off: a TAR archive without its end")
    while at < file.size:
        part = file.read(at, min(_CHUNK, file.size - at))
        if part.count(0) != len(part):
            raise RefusedError("bytes behind the last member that can be read: a hidden member, or a broken archive")
        at += len(part)
