# SPDX-License-Identifier: Apache-2.0
"""Digests and canonical JSON: everything on the path of a change is addressed by these.

Canonical JSON is RFC 8785 (JCS). Parsing is strict: what two readers could understand differently is refused.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import rfc8785

from evidence.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

Json = Any  # a parsed JSON document
Digest = str  # "sha256:" and 64 hexadecimal digits

MAX_JSON_DEPTH = 64
_CHUNK = 1 << 20


def sha256_hex(data: bytes) -> str:
    """The SHA-256 of ``data`` in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest(data: bytes) -> Digest:
    """The SHA-256 of ``data`` as ``sha256:<hex>``."""
    return f"sha256:{sha256_hex(data)}"


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content in hexadecimal, read in chunks of 1 MiB."""
    with path.open("rb") as file:
        running = hashlib.sha256()
        while chunk := file.read(_CHUNK):
            running.update(chunk)
    return running.hexdigest()


def canonical(document: Json) -> bytes:
    """``document`` as canonical JSON (RFC 8785).

    Raises:
        InputError: a value JSON cannot carry exactly (NaN, an integer beyond 2**53, a non-string key).
    """
    try:
        return rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise InputError(f"no canonical JSON: {error}") from error


def document_digest(document: Json) -> Digest:
    """The digest of a document's canonical JSON."""
    return digest(canonical(document))


def parse_json(data: bytes | str, what: str, *, limit: int = 32 << 20) -> Json:
    """Parse one JSON document strictly.

    Args:
        data: UTF-8 bytes or text.
        what: how to name the document in an error.
        limit: the largest size accepted, in bytes (or characters of text).

    Raises:
        InputError: over the limit, not UTF-8, not JSON, a duplicate key, NaN or Infinity, nested deeper than 64.
    """
    if len(data) > limit:
        raise InputError(f"{what}: {len(data)} bytes, over the limit of {limit}")
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        document = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constants, parse_int=_exact)
    except RecursionError as error:
        raise InputError(f"{what}: nested too deeply") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{what}: not UTF-8 at byte {error.start}") from error
    except (ValueError, OverflowError) as error:
        raise InputError(f"{what}: not valid JSON: {error}") from error
    _check_depth(document, what)
    return document


def _no_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"duplicate key {twice!r}")
    return result


def _no_constants(name: str) -> Json:
    raise ValueError(f"{name} is not a JSON number")


def _exact(digits: str) -> int | float:
    """An integer beyond 2**53 is a double in JSON (RFC 7493): read as one if RFC 8785 writes it so, else refused."""
    number = int(digits)
    if abs(number) < 1 << 53:
        return number
    if rfc8785.dumps(float(number)) != digits.encode():
        raise ValueError(f"{digits} is no exact double")
    return float(number)


def _check_depth(document: Json, what: str) -> None:
    level = [document]
    for _ in range(MAX_JSON_DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, (dict, list))
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise InputError(f"{what}: nested deeper than {MAX_JSON_DEPTH}")
