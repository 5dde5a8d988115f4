# SPDX-License-Identifier: Apache-2.0
"""Addresses of repositories: which are allowed, what is shown of them, and where their credential goes."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import git

from evidence import RepositoryError

if TYPE_CHECKING:
    from collections.abc import Mapping

_HELP = "use https://…, ssh://… or user@host:path"
_HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9.\-:]*\Z")  # a name, or an IPv4 or IPv6 address
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+\-]*\Z")
# user@host:path, as ssh knows it; a host of one letter with a path behind it would be a drive elsewhere.
_SCP_LIKE = re.compile(r"(?P<user>[^@/:]+)@(?P<host>[^@/:]+):(?P<path>[^:].*)\Z")


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository to fetch from.

    ``address`` is what git gets, without a credential; ``shown`` is for messages; ``local`` is its folder if it is
    on this machine; ``config`` carries the credential, and never reaches a file or a command line.
    """

    address: str
    protocol: str
    shown: str
    local: Path | None = None
    object_format: str = "sha1"
    config: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()

    def redact(self, text: str) -> str:
        """``text`` without the credential, and with our view of a local repository called by its own name."""
        text = text.replace(self.address, self.shown).replace(self.address.removeprefix("file://"), self.shown)
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def parse_url(url: str, *, allow_local: bool) -> Remote:
    """The remote that ``url`` names.

    Raises:
        RepositoryError: a protocol other than https and ssh (and file with ``allow_local``), or something in the
            address that could be taken for an option or a command.
    """
    shown = re.sub(r"//[^/@]*@", "//", url)[:200]
    shown = "".join(letter if letter.isprintable() else "?" for letter in shown)
    if not url or not url.isprintable() or url.startswith("-") or " " in url:
        raise RepositoryError(
            f"repository address {shown!r} is empty or has characters that do not belong there; {_HELP}"
        )
    try:
        git.Git.check_unsafe_protocols(url)
    except git.UnsafeProtocolError:
        raise RepositoryError(f"repository address {shown!r} is of a protocol that is not allowed; {_HELP}") from None
    if "://" in url:
        return _with_scheme(url, shown, allow_local=allow_local)
    if found := _SCP_LIKE.match(url):
        if not (_HOST.match(found["host"]) and _USER.match(found["user"])) or found["path"].startswith("-"):
            raise RepositoryError(f"repository address {shown!r}: no such user, host or path can be; {_HELP}")
        return Remote(url, "ssh", url)
    return _local(Path(url), shown, allow_local=allow_local)


def _with_scheme(url: str, shown: str, *, allow_local: bool) -> Remote:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise RepositoryError(f"repository address {shown!r} cannot be read; {_HELP}") from None
    if parts.scheme == "file" and not host:
        return _local(Path(unquote(parts.path)), shown, allow_local=allow_local)
    if parts.scheme not in {"https", "ssh"}:
        raise RepositoryError(f"repository address {shown!r} is of a protocol that is not allowed; {_HELP}")
    if not _HOST.match(host) or parts.path.startswith("/-") or parts.query or parts.fragment:
        raise RepositoryError(f"repository address {shown!r}: no such host or path can be; {_HELP}")
    place = f"[{host}]" if ":" in host else host
    place = f"{place}:{port}" if port else place
    if parts.scheme == "ssh":
        if parts.password or (parts.username is not None and not _USER.match(parts.username)):
            raise RepositoryError(f"repository address {shown!r}: ssh takes a user, no password; {_HELP}")
        user = f"{parts.username}@" if parts.username else ""
        return Remote(f"ssh://{user}{place}{parts.path}", "ssh", shown)
    address = f"https://{place}{parts.path}"
    if parts.username is None:
        return Remote(address, "https", address)
    login = base64.b64encode(f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()).decode()
    config = {f"http.https://{place}/.extraHeader": f"Authorization: Basic {login}"}
    secrets = tuple(word for word in (login, unquote(parts.password or parts.username)) if word)
    return Remote(address, "https", address, config=config, secrets=secrets)


def _local(path: Path, shown: str, *, allow_local: bool) -> Remote:
    if not allow_local:
        raise RepositoryError(f"repository address {shown!r} is on this machine, which is not allowed here; {_HELP}")
    if not path.is_dir():
        raise RepositoryError(f"{shown}: no such folder")
    resolved = path.resolve()
    return Remote(f"file://{resolved}", "file", str(path), local=resolved)
