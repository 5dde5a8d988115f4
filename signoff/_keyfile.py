# SPDX-License-Identifier: Apache-2.0
"""Private keys of logs and witnesses in files that only their owner reads, in the text form of Go's note package."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from evidence import ConflictError, InputError
from signoff._strict import decode_base64, encode_base64

if TYPE_CHECKING:
    from pathlib import Path

_PREFIX = "PRIVATE+KEY+"
_FILE_LIMIT = 4096


class PrivateText(NamedTuple):
    """What the text form says: the key's name, its identifier, its type byte and the seed. Nothing is checked yet."""

    name: str
    identifier: str
    kind: int
    seed: bytes


def write_private(path: Path, text: PrivateText, what: str) -> None:
    """Write a private key to a new file of mode 0600, whole or not at all.

    Raises:
        ConflictError: the file exists; a key is never overwritten.
    """
    material = encode_base64(bytes([text.kind]) + text.seed)
    write_secret(path, f"{_PREFIX}{text.name}+{text.identifier}+{material}\n".encode(), what)


def write_secret(path: Path, content: bytes, what: str) -> None:
    """Write ``content`` to a new file of mode 0600, whole or not at all.

    Raises:
        ConflictError: the file exists; a key is never overwritten.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)
    except FileExistsError as error:
        raise ConflictError(f"{path}: exists; {what} is never overwritten") from error
    finally:
        fresh.unlink(missing_ok=True)


def read_secret(path: Path, what: str) -> bytes:
    """The content of a key's file.

    Raises:
        InputError: no such file, or readable by others.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(_FILE_LIMIT)
    except OSError as error:
        raise InputError(f"{path}: {what} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode) or mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(f"{path}: {what} is open to others; chmod 600 it, and replace it if it was read")
    return raw


def read_private(path: Path, what: str) -> PrivateText:
    """Read the text form of a private key.

    Raises:
        InputError: as `read_secret`, or not a private key in this form.
    """
    try:
        text = read_secret(path, what).decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not {what}") from error
    parts = text.removeprefix(_PREFIX).split("+", 2)
    if not text.startswith(_PREFIX) or len(parts) != 3:  # noqa: PLR2004 - name, id, seed
        raise InputError(f"{path}: not {what}")
    material = decode_base64(parts[2], str(path))
    if not material:
        raise InputError(f"{path}: not {what}")
    return PrivateText(parts[0], parts[1], material[0], material[1:])
