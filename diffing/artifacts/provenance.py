# SPDX-License-Identifier: Apache-2.0
"""Statements of provenance beside weights: in-toto statements in DSSE envelopes, that say from which code and data.

A statement counts if a key of the reviewer's verifies it and it names the file by its SHA-256. Predicates of SLSA
provenance, versions 0.2 and 1, are read; of any other only that it is signed. Not checked here: whether what the
builder says is so.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature, SSlibKey

from evidence import Finding, InputError, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

RULE = "provenance-missing"
MAX_STATEMENT = 1 << 20
_MOST, _MOST_SIGNATURES, _MOST_SUBJECTS, _MOST_MATERIALS = 64, 16, 10_000, 1000
_ENDINGS = (".intoto.jsonl", ".intoto.json", ".provenance.json", ".dsse.json")
_WHOLE = frozenset({"provenance.json", "provenance.intoto.jsonl", "attestations.jsonl"})
_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_TYPE = "application/vnd.in-toto+json"


class Material(NamedTuple):
    """What something was made of, by its digest."""

    name: str
    digest: str


@dataclass(frozen=True)
class Provenance:
    """What is known of how one file was made. ``problem`` says why nothing is, if nothing is."""

    path: str
    statement: str | None = None
    signed_by: tuple[str, ...] = ()
    builder: str = ""
    commits: tuple[str, ...] = ()
    data: tuple[Material, ...] = ()
    problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As it stands in documents."""
        return {
            "path": self.path,
            "statement": self.statement,
            "signed_by": list(self.signed_by),
            "builder": self.builder,
            "commits": list(self.commits),
            "data": [one._asdict() for one in self.data],
            "problem": self.problem,
        }


@dataclass(frozen=True)
class Keys:
    """The reviewer's keys for statements; none means that nothing can be verified.

    ``lines`` are OpenSSH's public lines by what `Provenance.signed_by` calls a key, of those that have such a form.
    """

    keys: tuple[SSlibKey, ...] = field(default=())
    lines: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.keys)


def read_keys(path: Path) -> Keys:
    """The public keys (PEM, one or more) of a file.

    Raises:
        InputError: it cannot be read, holds none, or one of a kind that is not verified.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    blocks = _PEM.findall(content[:MAX_STATEMENT])
    if not blocks:
        raise InputError(f"{path}: no public key in PEM")
    try:
        public = [load_pem_public_key(block) for block in blocks]
        keys = tuple(SSlibKey.from_crypto(one) for one in public)
        lines = {_called(key): _line(one) for key, one in zip(keys, public, strict=True)}
        return Keys(keys, {name: line for name, line in lines.items() if line is not None})
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path}: a key that is not verified with: {' '.join(str(error).split())[:100]}") from error


def _called(key: SSlibKey) -> str:
    return key.keyid[:16]


def _line(public: Any) -> str | None:  # noqa: ANN401 - whatever kind of key the PEM held
    try:
        return str(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def is_statement(path: str) -> bool:
    """Whether a file holds statements of provenance, by its name."""
    name = PurePosixPath(path).name.lower()
    return name.endswith(_ENDINGS) or name in _WHOLE


def speaks_of(statement: str, path: str) -> bool:
    """Whether statements under that name can be about a file: beside it under its name, or of a whole folder."""
    said, pure = PurePosixPath(statement), PurePosixPath(path)
    if said.parent not in (pure.parent, *pure.parents):
        return False
    return said.name.lower() in _WHOLE or any(said.name == f"{pure.name}{ending}" for ending in _ENDINGS)


def provenance_of(path: str, sha256: str, statements: Iterable[tuple[str, bytes]], keys: Keys) -> Provenance:
    """What statements say of one file with that digest; the first that verifies and names it, else what is wrong."""
    problems: list[tuple[str, str]] = []
    for name, content in list(statements)[:_MOST]:
        for envelope in _envelopes(content):
            found = _read(path, sha256, name, envelope, keys)
            if found.problem is None:
                return found
            problems.append((name, found.problem))
    if problems:
        return Provenance(path, problems[0][0], problem=problems[0][1])
    return Provenance(path, problem="nothing beside it says from which code and data it was made")


def provenance_findings(known: Sequence[Provenance], keys: Keys, elsewhere: Mapping[str, str]) -> Iterator[Finding]:
    """Findings on files without provenance that verifies; ``elsewhere`` says of commits why they are none of here."""
    for one in known:
        strange = [f"{commit[:12]} {elsewhere[commit]}" for commit in one.commits if commit in elsewhere]
        if one.problem is None and not strange:
            continue
        name = one.path.rpartition("/")[2]
        if one.problem is None:
            severity, title = Severity.MEDIUM, f"{name} was made from other code: {strange[0]}"
            detail = f"{one.statement} says so, signed by {', '.join(one.signed_by)}."
        elif one.statement is None:
            severity = Severity.MEDIUM if keys else Severity.INFO  # nobody said that there is to be any
            title, detail = f"No provenance of {name}", f"{one.problem[0].upper()}{one.problem[1:]}."
        else:
            severity = Severity.HIGH if keys else Severity.LOW
            title, detail = f"Provenance of {name} does not hold", f"{one.statement}: {one.problem}."
        yield Finding(
            RULE, severity, title, detail, Location(one.path), {**one.to_json(), "name": name},
            (one.path, one.statement or "", one.problem or "", *strange),
        )  # fmt: skip


def _envelopes(content: bytes) -> list[Any]:
    """The DSSE envelopes of a file: one, one a line, or those in bundles."""
    found = []
    lines = [content, *content.split(b"\n")[:_MOST]] if len(content) <= MAX_STATEMENT else []
    for line in lines:
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            document = document.get("dsseEnvelope", document)
            found.append(document)
            if line is content:
                break
    return found or [None]


class _Wrong(Exception):  # noqa: N818 - it is told, not raised further
    """Why a statement does not count; its text ends up in evidence."""


def _read(path: str, sha256: str, name: str, envelope: Any, keys: Keys) -> Provenance:  # noqa: ANN401 - parsed JSON
    try:
        payload, by = _signed(envelope, keys)
        materials, builder = _statement(payload, sha256)
    except _Wrong as why:
        return Provenance(path, name, problem=str(why))
    commits = tuple(dict.fromkeys(one.digest for one, is_commit in materials if is_commit))
    data = tuple(one for one, is_commit in materials if not is_commit)
    return Provenance(path, name, tuple(by), builder, commits, data)


def _signed(envelope: Any, keys: Keys) -> tuple[bytes, list[str]]:  # noqa: ANN401 - parsed JSON
    """The payload of an envelope, once it verifies, and by which keys. Nothing of it is parsed before."""
    try:
        payload, kind = b64decode(envelope["payload"]), str(envelope["payloadType"])
        signatures = [b64decode(one["sig"]) for one in envelope["signatures"][:_MOST_SIGNATURES]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _Wrong("no DSSE envelope") from error
    if kind != _TYPE:
        raise _Wrong("an envelope of something else than an in-toto statement")
    if not keys:
        raise _Wrong("signed, not verified: no key is configured")
    by = _verified(Envelope(payload, kind, {}).pae(), signatures, keys)
    if not by:
        raise _Wrong("no configured key verifies a signature of it")
    return payload, by


def _statement(payload: bytes, sha256: str) -> tuple[list[tuple[Material, bool]], str]:
    try:
        statement = json.loads(payload)
        subjects = [one["digest"].get("sha256") for one in statement["subject"][:_MOST_SUBJECTS]]
        predicate, kind = statement["predicate"], str(statement["predicateType"])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _Wrong("no in-toto statement in it") from error
    if sha256 not in subjects:
        raise _Wrong("it is about other bytes: the file's SHA-256 is none of its subjects")
    return _slsa(predicate if isinstance(predicate, dict) else {}, kind)


def _verified(pae: bytes, signatures: Sequence[bytes], keys: Keys) -> list[str]:
    """The ids of the keys that verify one of the signatures; the id that a signature names is a hint only."""
    found = []
    for key in keys.keys:
        for signature in signatures:
            try:
                key.verify_signature(Signature(key.keyid, signature.hex()), pae)
            except (UnverifiedSignatureError, ValueError):
                continue
            found.append(_called(key))
            break
    return found


def _slsa(predicate: Mapping[str, Any], kind: str) -> tuple[list[tuple[Material, bool]], str]:
    """What it was made of, each with whether it is a commit, and who made it."""
    definition, run = _at(predicate, "buildDefinition"), _at(predicate, "runDetails")
    listed = definition.get("resolvedDependencies") if definition else predicate.get("materials")
    builder = _at(run, "builder").get("id") if run else _at(predicate, "builder").get("id")
    found = []
    for one in listed[:_MOST_MATERIALS] if isinstance(listed, list) and kind.startswith("https://slsa.dev/") else []:
        digests = _at(one, "digest") if isinstance(one, dict) else {}
        name = _shown(one.get("name") or one.get("uri") or "") if isinstance(one, dict) else ""
        for algorithm, digest in digests.items():
            text = str(digest).lower()
            commit = algorithm in {"gitCommit", "sha1"} and bool(_COMMIT.fullmatch(text))
            if commit or algorithm == "sha256":
                found.append((Material(name, text[:64]), commit))
    return found, _shown(builder or "")


def _at(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _shown(value: object) -> str:
    return "".join(letter for letter in str(value)[:300] if letter.isprintable())
