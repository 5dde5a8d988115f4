# SPDX-License-Identifier: Apache-2.0
"""Artifacts by URL: only below what the operator listed, never through a redirect, never from a private address.

Object stores and file systems by fsspec; http and https by the same rules as everything else that is asked of others.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import fsspec

from evidence import CountersignError, InputError
from service import uploads
from service.outward import UnansweredError, answered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.context import Context
    from service.settings import Platform
    from service.uploads import Target, Upload

SECONDS = 900.0
MAX_URL = 2000
_CHUNK = 1 << 20
_OK = 200
_NEVER = ("\\", "?", "#", "::", "%2e", "%2f", "%5c", "%00", "%25")


def fetch(context: Context, platform: Platform, where: Target, url: str, sha256: str | None) -> Upload:
    """Bring an artifact from ``url`` to its place.

    Raises:
        InputError: not below a prefix of the platform, no such file, or not of the digest that was said.
        UnansweredError: its server does not answer, or the whole takes too long.
        TooLargeError, ConflictError: as for an upload.
    """
    _allowed(platform, url)
    deadline = time.monotonic() + SECONDS
    upload = uploads.begin(context, where, size=None, sha256=sha256)
    try:
        with _chunks(platform, url) as chunks:
            file = uploads.Appending(context, upload, 0)
            try:
                for chunk in chunks:
                    file.write(chunk)
                    if time.monotonic() > deadline:
                        raise UnansweredError(f"{url[:200]}: not here within {SECONDS:g} s")
            finally:
                file.close()
        return uploads.finish(context, where.platform, upload.id, _everything)
    except CountersignError:
        if not uploads.gone(context, upload.id):
            uploads.drop(context, where.platform, upload.id, _everything)
        raise


def _everything(_repository: str) -> bool:
    return True


def _allowed(platform: Platform, url: str) -> None:
    """Check that a URL is below a prefix by its text alone: nothing in it that a server could read otherwise."""
    folded = url.casefold()
    plain = 0 < len(url) <= MAX_URL and url.isascii() and url.isprintable() and " " not in url
    prefix = next((one for one in platform.artifact_prefixes if url.startswith(one)), None)
    if prefix is None or not plain or any(part in folded for part in _NEVER):
        raise InputError(f"{url[:200]!r} is below no prefix that artifacts of platform {platform.name} may come from")
    if any(part in {"", ".", ".."} for part in url.removeprefix(prefix).split("/")):
        raise InputError(f"{url[:200]!r}: give a path of names below {prefix}")


@contextmanager
def _chunks(platform: Platform, url: str) -> Iterator[Iterator[bytes]]:
    if urlsplit(url).scheme in {"http", "https"}:
        with answered(url, private=platform.allow_local) as answer:
            if answer.status_code != _OK:
                raise InputError(f"{url[:200]}: HTTP {answer.status_code}")
            yield answer.iter_raw(_CHUNK)
        return
    try:
        system, path = fsspec.core.url_to_fs(url)
        if "file" in system.protocol:
            _inside(platform, url, path)
        with system.open(path, "rb", block_size=_CHUNK) as file:
            yield iter(lambda: file.read(_CHUNK), b"")
    except CountersignError:
        raise
    except ImportError as error:
        raise InputError(f"{urlsplit(url).scheme}: no package for it is installed here: {error}") from error
    except FileNotFoundError as error:
        raise InputError(f"{url[:200]}: no such file") from error
    except (OSError, ValueError) as error:
        raise UnansweredError(f"{url[:200]}: {type(error).__name__}") from error


def _inside(platform: Platform, url: str, path: str) -> None:
    """A file of this machine has to be below the prefix where its links lead, too."""
    prefix = next(one for one in platform.artifact_prefixes if url.startswith(one))
    top = os.path.realpath(urlsplit(prefix).path)
    if not os.path.realpath(path).startswith(f"{top}/"):
        raise InputError(f"{url[:200]} leads out of {prefix}")
