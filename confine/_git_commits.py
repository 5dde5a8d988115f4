# SPDX-License-Identifier: Apache-2.0
"""Commit objects: tree, parents, message, and the people named in them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from evidence import RepositoryError

# Wherever it stands in the message, not only in its last paragraph: who is named at all took part.
_TRAILER = re.compile(r"(?im)^[ \t>*-]*co-(?:authored|developed)-by[ \t]*:[ \t]*(.+?)[ \t\r]*$")
_ADDRESS = re.compile(r"[^\s<>]+@[^\s<>]+")


@dataclass(frozen=True, slots=True, order=True)
class Person:
    """A name and an email address as a commit states them: claims, which nothing here verifies."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit object, parsed.

    ``signature`` is the kind of signature that it carries (ssh, openpgp, x509), None where it carries none. It is not
    verified here. ``armored`` is the signature itself, ``payload`` the bytes that it is over; both empty without one.
    """

    tree: str
    parents: tuple[str, ...]
    people: tuple[Person, ...]
    message: str
    author: Person = Person("", "")
    committer: Person = Person("", "")
    signature: str | None = None
    armored: bytes = b""
    payload: bytes = b""


def parse_commit(data: bytes, commit: str) -> Commit:
    """Parse a commit object's content.

    Text is UTF-8 or what the commit's ``encoding`` header says; what does not decode becomes U+FFFD.

    Raises:
        RepositoryError: no tree.
    """
    head, _, body = data.partition(b"\n\n")
    headers = [line.partition(b" ") for line in head.split(b"\n") if line and not line.startswith(b" ")]
    values: dict[bytes, list[bytes]] = {}
    for key, _, value in headers:
        values.setdefault(key, []).append(value)
    trees = values.get(b"tree", [])
    if len(trees) != 1:
        raise RepositoryError(f"commit {commit} is damaged: it has no tree, or more than one")
    encoding = values.get(b"encoding", [b"utf-8"])[0]
    signatures = [_decode(value, encoding) for key in (b"author", b"committer") for value in values.get(key, [])]
    message = _decode(body, encoding)
    named = [*(_person(signature) for signature in signatures), *(_person(who) for who in _TRAILER.findall(message))]
    return Commit(
        trees[0].decode("ascii", "replace"),
        tuple(parent.decode("ascii", "replace") for parent in values.get(b"parent", [])),
        tuple(dict.fromkeys(named)),
        message,
        _person(_decode(values.get(b"author", [b""])[0], encoding)),
        _person(_decode(values.get(b"committer", [b""])[0], encoding)),
        _signature([*values.get(b"gpgsig", []), *values.get(b"gpgsig-sha256", [])]),
        *_signed(head, body),
    )


def _signed(head: bytes, body: bytes) -> tuple[bytes, bytes]:
    """The first signature of a commit, and the commit without its signatures: what git signs."""
    signatures: list[list[bytes]] = []
    kept: list[bytes] = []
    inside = False
    for line in head.split(b"\n"):
        if line.startswith((b"gpgsig ", b"gpgsig-sha256 ")):
            signatures.append([line.partition(b" ")[2]])
            inside = True
        elif inside and line.startswith(b" "):
            signatures[-1].append(line[1:])
        else:
            inside = False
            kept.append(line)
    if not signatures:
        return b"", b""
    return b"\n".join(signatures[0]) + b"\n", b"\n".join([*kept, b""]) + b"\n" + body


def _signature(values: list[bytes]) -> str | None:
    for value in values:
        for mark, kind in ((b"SSH SIGNATURE", "ssh"), (b"PGP", "openpgp"), (b"SIGNED MESSAGE", "x509")):
            if mark in value:
                return kind
    return "unknown" if values else None


def _person(text: str) -> Person:
    """``Name <address> …``; a missing bracket does not hide an address."""
    name, _, rest = text.partition("<")
    email, closed, _ = rest.partition(">")
    if not closed:
        found = _ADDRESS.search(text)
        email = found[0] if found else ""
        name = text.replace(email, "") if email else text
    return Person(_one_line(name), _one_line(email))


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text.replace("<", " ")).split())


def _decode(data: bytes, encoding: bytes) -> str:
    try:
        return data.decode(encoding.decode("ascii", "replace"), "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")
