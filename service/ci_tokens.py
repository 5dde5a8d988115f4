# SPDX-License-Identifier: Apache-2.0
"""Tokens that a CI's issuer signs for each job (OpenID Connect), instead of a secret that the platform keeps.

https://docs.github.com/en/actions/reference/security/oidc and https://docs.gitlab.com/ci/secrets/id_token_authentication/.
A token counts where an issuer that the operator listed signed it with a key of its own, for our audience, in time, for
a repository that the platform covers. Not checked here: what the job is, beyond the claims that the operator asks for.
"""

from __future__ import annotations

import base64
import binascii
import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from evidence import AuthenticationError, CountersignError, InputError, parse_json
from service.outward import UnansweredError, get_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from evidence import Json
    from service.settings import CiIssuer, Platform

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
CLAIM = {"github": "repository", "gitlab": "project_path"}
_KINDS = frozenset({"RSA", "EC", "OKP"})  # never a shared secret: it could be a public key taken for one
_LEEWAY = 60
_FRESH = 3600.0  # seconds that an issuer's keys are used without asking again
_AGAIN = 60.0  # seconds between two attempts to have them
_STALE = 86_400.0  # seconds that they are used while the issuer does not answer
_MAX_TOKEN = 16 << 10
_MAX_KEYS = 1 << 20
_PARTS = 3
_OK = 200


@dataclass(frozen=True, slots=True)
class _Known:
    keys: KeySet | None
    had_at: float
    tried_at: float


class Issuers:
    """The keys of issuers: from the operator's files, or from the issuer, kept for an hour."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def keys(self, issuer: CiIssuer, kid: str | None, *, private: bool) -> KeySet:
        """The issuer's keys; asked for again when one is missing, but not more often than once a minute.

        Raises:
            UnansweredError: the issuer does not give them, and there are none from before.
        """
        if issuer.jwks is not None:
            return read_keys(issuer.jwks)
        moment = time.monotonic()
        with self._lock:
            known = self._known.get(issuer.issuer, _Known(None, -math.inf, -math.inf))
            lacking = known.keys is None or (kid is not None and not _has(known.keys, kid))
            if (lacking or moment - known.had_at > _FRESH) and moment - known.tried_at > _AGAIN:
                try:
                    known = _Known(_asked(issuer.issuer, private=private), moment, moment)
                except CountersignError:
                    known = _Known(known.keys, known.had_at, moment)
                self._known[issuer.issuer] = known
        if known.keys is None or moment - known.had_at > _STALE:
            raise UnansweredError(f"{issuer.issuer}: its keys cannot be had now; send the request again later")
        return known.keys


def read_keys(path: Path) -> KeySet:
    """The keys of a file, as an issuer publishes them (JWK set). InputError if it cannot be used."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return _key_set(parse_json(content, str(path), limit=_MAX_KEYS), str(path))


def _asked(issuer: str, *, private: bool) -> KeySet:
    """The issuer's keys, where its own configuration says, which has to be on the issuer itself."""
    status, configuration = get_json(f"{issuer}/.well-known/openid-configuration", private=private)
    where = configuration.get("jwks_uri") if isinstance(configuration, dict) else None
    if status != _OK or configuration.get("issuer") != issuer or not isinstance(where, str):
        raise InputError(f"{issuer}: no configuration of that issuer")
    if urlsplit(where)[:2] != urlsplit(issuer)[:2]:
        raise InputError(f"{issuer}: its keys are said to be on another server")
    status, document = get_json(where, private=private)
    return _key_set(document, issuer)


def _key_set(document: Json, what: str) -> KeySet:
    listed = document.get("keys") if isinstance(document, dict) else None
    usable = (
        [one for one in listed if isinstance(one, dict) and one.get("kty") in _KINDS]
        if isinstance(listed, list)
        else []
    )
    if not usable:
        raise InputError(f"{what}: no JWK set with a public key")
    try:
        return KeySet.import_key_set({"keys": usable})
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{what}: a key in it cannot be used: {type(error).__name__}") from error


def _has(keys: KeySet, kid: str) -> bool:
    return any(key.kid == kid for key in keys.keys)


def looks_like_one(token: str) -> bool:
    """Whether a bearer token is in the form of a JWT: three parts, the first an object."""
    return token.count(".") == _PARTS - 1 and token.startswith("eyJ")


def identify(platforms: Sequence[Platform], token: str, issuers: Issuers, audience: str) -> tuple[Platform, str]:
    """The platform and the repository that a token is for; ``audience`` is ours where an entry names no other.

    Raises:
        AuthenticationError: it does not verify, is not for us, not in time, or for no repository of a platform.
        UnansweredError: the issuer does not give its keys.
    """
    if len(token) > _MAX_TOKEN:
        raise AuthenticationError(f"the token is over {_MAX_TOKEN} bytes")
    kid, said = _unverified(token)
    entries = [(platform, one) for platform in platforms for one in platform.ci if one.issuer == said]
    if not entries:
        raise AuthenticationError(f"the token's issuer {said[:200]!r} is not one of the platforms file")
    refused = AuthenticationError("the token is for no repository of a platform here")
    for platform, entry in entries:
        try:
            claims = _verified(token, issuers.keys(entry, kid, private=platform.allow_local))
            return platform, _repository(claims, platform, entry, audience)
        except AuthenticationError as error:
            refused = error
    raise refused


def _unverified(token: str) -> tuple[str | None, str]:
    """Key id and issuer as the token says, to know which keys to try; nothing else is taken from it."""
    try:
        parts = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")[:2]]
        header, claims = (parse_json(part, "token") for part in parts)
    except (binascii.Error, ValueError, InputError) as error:
        raise AuthenticationError("the token is no JWT") from error
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    kid = header.get("kid") if isinstance(header, dict) else None
    if not isinstance(issuer, str):
        raise AuthenticationError("the token names no issuer")
    return kid if isinstance(kid, str) else None, issuer


def _verified(token: str, keys: KeySet) -> dict[str, Any]:
    try:
        return dict(jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise AuthenticationError(f"the token does not verify: {type(error).__name__}") from error


def _repository(claims: Mapping[str, Any], platform: Platform, entry: CiIssuer, audience: str) -> str:
    """The repository, once everything that the token has to say is right."""
    wanted = entry.audience or audience
    given = claims.get("aud")
    if wanted not in (given if isinstance(given, list) else [given]):
        raise AuthenticationError(f"the token is not for {wanted}: ask for that audience")
    if claims.get("iss") != entry.issuer:
        raise AuthenticationError("the token is of another issuer")
    _in_time(claims)
    for name, value in entry.claims.items():
        if claims.get(name) != value:
            raise AuthenticationError(f"the token's {name} is not {value}")
    repository = claims.get(CLAIM[entry.kind])
    configured = platform.find(repository) if isinstance(repository, str) else None
    if configured is None:
        raise AuthenticationError("the token is for no repository of a platform here")
    return configured.name


def _in_time(claims: Mapping[str, Any]) -> None:
    moment = time.time()
    ends = _seconds(claims, "exp")
    if ends is None or ends + _LEEWAY <= moment:
        raise AuthenticationError("the token has expired, or does not say when it does")
    for name in ("nbf", "iat"):
        begins = _seconds(claims, name)
        if begins is not None and begins - _LEEWAY > moment:
            raise AuthenticationError("the token is of a time to come: check both clocks")


def _seconds(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise AuthenticationError(f"the token's {name} is no moment")
    return float(value)
