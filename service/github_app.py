# SPDX-License-Identifier: Apache-2.0
"""A GitHub App: who it is by a signed token (JWT), and what it may do by an installation's token, kept while it holds.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from evidence import InputError
from service.outward import UnansweredError, exchanged

if TYPE_CHECKING:
    from pathlib import Path

    from evidence import Json
    from service.settings import Platform

_BEFORE = 60  # seconds that GitHub's clock may be behind ours
_HOLDS = 540  # seconds; GitHub takes no more than ten minutes
_NEAR = 300  # seconds before its end that a token is not used any more
_OK = frozenset({200, 201})


@dataclass(frozen=True, slots=True)
class _Held:
    token: str
    until: float


_tokens: dict[tuple[str, str, str], _Held] = {}
_lock = threading.Lock()


def app_key(path: Path) -> RSAKey:
    """The App's private key, as GitHub hands it out (PEM). InputError if it is none."""
    try:
        return RSAKey.import_key(path.read_bytes())
    except (OSError, ValueError, JoseError) as error:
        raise InputError(f"{path}: not the private key of a GitHub App in PEM: {error}") from error


def app_token(app_id: str, key: RSAKey, moment: int) -> str:
    """The token by which the App says who it is, signed by RS256; it holds for nine minutes."""
    claims = {"iat": moment - _BEFORE, "exp": moment + _HOLDS, "iss": app_id}
    return jwt.encode({"alg": "RS256"}, claims, key, algorithms=["RS256"])


def headers(platform: Platform, repository: str) -> dict[str, str]:
    """What a request for a repository carries: the token of the App's installation there.

    Raises:
        UnansweredError: GitHub gives none, or not now.
        InputError: the App's key cannot be used.
    """
    place = (platform.api_base or "", platform.app_id or "", repository.lower())
    with _lock:
        held = _tokens.get(place)
        if held is None or held.until - _NEAR <= time.time():
            held = _tokens[place] = _asked(platform, repository)
    return _carrying(held.token)


def forget(platform: Platform, repository: str) -> None:
    """Have a new token asked for: GitHub did not take the one that is held."""
    with _lock:
        _tokens.pop((platform.api_base or "", platform.app_id or "", repository.lower()), None)


def _asked(platform: Platform, repository: str) -> _Held:
    if platform.app_key is None or platform.app_id is None:
        raise InputError(f"platform {platform.name} has no GitHub App: set app_id and app_key")
    proof = _carrying(app_token(platform.app_id, app_key(platform.app_key), int(time.time())))
    base = (platform.api_base or "").rstrip("/")
    installation = _get(platform, "GET", f"{base}/repos/{quote(repository)}/installation", proof)
    made = _get(platform, "POST", f"{base}/app/installations/{_number(installation)}/access_tokens", proof)
    token, until = made.get("token"), made.get("expires_at")
    if not isinstance(token, str) or not token or not token.isascii() or not isinstance(until, str):
        raise UnansweredError("GitHub's answer holds no token of an installation")
    try:
        return _Held(token, datetime.fromisoformat(until).timestamp())
    except ValueError as error:
        raise UnansweredError("GitHub does not say until when its token holds") from error


def _get(platform: Platform, method: str, url: str, carried: dict[str, str]) -> dict[str, Json]:
    answer = exchanged(method, url, None, headers=carried, private=platform.allow_local)
    if answer.status not in _OK or not isinstance(answer.document, dict):
        raise UnansweredError(f"{url[:200]}: HTTP {answer.status}: is the App installed there?")
    return answer.document


def _number(document: dict[str, Json]) -> int:
    found = document.get("id")
    if not isinstance(found, int) or found < 1:
        raise UnansweredError("GitHub does not say which installation it is")
    return found


def _carrying(token: str) -> dict[str, str]:
    return {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
