#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check a Countersign bundle with nothing of Countersign: one file, Python 3.11 and the package ``cryptography``.

    python countersign_verify.py BUNDLE --roots ROOTS [--policy POLICY] [--artifact NAME=FILE ...] [--at TIME|made]

Read it from the bottom up: `verify` is the procedure, with the numbers of docs/gate.md; everything above serves it.
It judges what a bundle says of itself: who signed what, by which keys, that all of it is in the log in its order, that
the witnesses asked for have seen it, that nothing of it is revoked, expired or too old, and that nobody approves what
the signed facts say they had a hand in. A build under a recipe is held against the recipe that people signed, and its
bounds. Artifacts are compared if they are given. The policy is the one in the bundle where none is given: everybody who
signed named it by digest. Of a bundle that has become too old it says whether all of it held when it was made. It does
*not* read the repository, and does not judge what else the policy requires (the rest of step 10): it prints what was
decided, so that you can.
What stands where:

    strict JSON        one spelling, RFC 8785; whole numbers
    shapes             every document's keys and types: manifest, facts, statement, carry-over, recipe, build, bundle
    keys, signatures   OpenSSH's wire form, SSHSIG, raw Ed25519 and ECDSA, hardware keys, passkeys
    the log            RFC 6962 trees, signed notes, checkpoints, cosignatures, quorum, proofs
    recipes            what a recipe and its measures must be to be one
    Verification       the steps 1 to 10, one method each

Exit status: 0 all of it holds, 1 something does not, 2 bad usage.
"""

import argparse
import base64
import hashlib
import json
import posixpath
import re
import sys
import tomllib
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

STATEMENT = "https://in-toto.io/Statement/v1"
SIGNOFF = "https://countersign.dev/review-signoff/v1"
REVOCATIONS = "https://countersign.dev/revocations/v1"
BUILD = "https://countersign.dev/build/v1"
CARRY = "https://countersign.dev/carry-over/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
PANEL_DOMAIN = b"countersign/panel-commitment/v1\n"
SKEW = timedelta(minutes=5)
CURVES = {"nistp256": (ec.SECP256R1, hashes.SHA256), "nistp384": (ec.SECP384R1, hashes.SHA384)}
READ_ONLY = {"submitter", "auditor", "regulator", "administrator"}  # roles in which nobody signs off


class Refused(Exception):
    """Something does not hold. The message says what."""


def need(holds, why):
    if not holds:
        raise Refused(why)


# Strict JSON. A document has one spelling, RFC 8785: a duplicate key, another order, a space more are all refused.
# Nothing of ours has fractions, so a number is a whole one; only what a browser writes may hold others.


def parse(data, what, limit=32 << 20, fraction=None):
    need(len(data) <= limit, f"{what}: too large")
    try:
        document = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=no_twice,
            parse_float=fraction or no_number,
            parse_constant=no_number,
        )
    except (ValueError, RecursionError) as error:
        raise Refused(f"{what}: not JSON: {error}") from None
    return document


def canonical_document(data, what, limit=32 << 20):
    document = parse(data, what, limit)
    need(canonical(document) == data, f"{what}: not canonical JSON")
    return document


def no_twice(pairs):
    need(len({key for key, _ in pairs}) == len(pairs), "a key stands twice in one object")
    return dict(pairs)


def no_number(text):
    raise Refused(f"the number {text[:20]} is not a whole one")


def canonical(value, depth=0):
    need(depth < 64, "nested too deeply")
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return b"{" + b",".join(canonical(key) + b":" + canonical(value[key], depth + 1) for key in keys) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(canonical(one, depth + 1) for one in value) + b"]"
    if isinstance(value, int) and not isinstance(value, bool):
        need(abs(value) < 1 << 53, "a number that other readers round")
    try:
        return json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise Refused("half a character") from None


# The shape of documents: exactly these keys, exactly these types.

HIDDEN = "\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"


def matches(pattern, most=None):
    compiled = re.compile(pattern)

    def check(value, where):
        need(isinstance(value, str) and compiled.fullmatch(value) is not None, f"{where}: not as it must be")
        need(most is None or len(value) <= most, f"{where}: too long")
        return value

    return check


LINE = matches(f"[^\x00-\x1f{HIDDEN}]+", 1000)
TEXT = matches(f"[^\x00-\x08\x0b-\x1f{HIDDEN}]*", 10_000)
STRING = matches("(?s:.*)")
ADDRESS = matches("(?s:.*)", 1000)
MOMENT = matches("[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z")
HEX = matches("[0-9a-f]{64}")
GIT = matches("[0-9a-f]{40}|[0-9a-f]{64}")
NAMED = matches("sha256:[0-9a-f]{64}")
NONCE = matches("[A-Za-z0-9_-]{16,128}")
VERDICT = matches("pass|fail|inconclusive")
SEVERITY = matches("info|low|medium|high|critical")
SEVERITIES = ("info", "low", "medium", "high", "critical")
CELL = matches("amplified|suppressed|shifted|equivalent|inconclusive|not-run")


def time(value, where):
    need(
        isinstance(value, str) and re.fullmatch(r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z", value),
        f"{where}: no UTC time",
    )
    try:
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Refused(f"{where}: no such time") from None


def count(value, where):
    need(type(value) is int and 0 <= value < 1 << 53, f"{where}: no count")
    return value


def whole(value, where):
    need(type(value) is int and abs(value) < 1 << 53, f"{where}: no whole number")
    return value


def between(least, most):
    def check(value, where):
        need(type(value) is int and least <= value <= most, f"{where}: not between {least} and {most}")
        return value

    return check


def boolean(value, where):
    need(type(value) is bool, f"{where}: neither true nor false")
    return value


def is_(expected):
    def check(value, where):
        need(type(value) is type(expected) and value == expected, f"{where}: not {expected!r}")
        return value

    return check


def maybe(inner):
    return lambda value, where: None if value is None else inner(value, where)


def many(inner, least=0, most=1 << 20):
    def check(value, where):
        need(isinstance(value, list) and least <= len(value) <= most, f"{where}: not a list of {least} to {most}")
        return [inner(one, f"{where}[{at}]") for at, one in enumerate(value)]

    return check


def shape(needed, optional=None):
    optional = optional or {}

    def check(value, where):
        need(isinstance(value, dict), f"{where}: no object")
        missing, unknown = needed.keys() - value.keys(), value.keys() - needed.keys() - optional.keys()
        need(not missing and not unknown, f"{where}: {', '.join(sorted(map(ascii, missing | unknown)))[:200]}")
        return {key: (needed | optional)[key](one, f"{where}.{key}") for key, one in value.items()}

    return check


SHA = shape({"sha256": HEX})
REFERENCE = shape({"name": LINE, "digest": SHA})
MANIFEST = shape(
    {
        "schema": is_("countersign/revision/v1"),
        "repository": LINE,
        "base": shape({"commit": GIT, "tree": GIT}),
        "head": shape({"commit": GIT, "tree": GIT, "content": SHA}),
        "artifacts": many(shape({"name": LINE, "size": count, "sha256": HEX})),
    }
)
ANSWER = shape({"kind": LINE, "by": LINE, "text": SHA})
FACTS = shape(
    {
        "schema": is_("countersign/facts/v1"),
        "revision": SHA,
        "evidence": many(
            shape({"name": LINE, "digest": SHA, "verdict": VERDICT}, {"unsafe": boolean, "made_at": maybe(MOMENT)})
        ),
        "findings": many(shape({"id": NAMED, "rule": LINE, "severity": SEVERITY}, {"answer": maybe(ANSWER)})),
        "files": shape({"total": count, "viewed": count, "waived": count}),
        "people": many(shape({"name": ADDRESS, "email": ADDRESS})),
    },
    {"paths": maybe(many(ADDRESS)), "threads": maybe(shape({"open": count, "blocking": count}))},
)
WAIVED = shape({"id": NAMED, "rule": LINE, "severity": SEVERITY, "answer": LINE, "by": LINE, "reason": LINE})
PREDICATE = shape(
    {
        "change": shape({"repository": LINE, "targetRef": LINE, "baseTree": GIT, "headTree": GIT, "headCommit": GIT}),
        "decision": matches("APPROVED|APPROVED_WITH_CONDITIONS|REJECTED|REVOKED"),
        "meaning": TEXT,
        "scope": many(LINE, 1),
        "coverage": shape(
            {"files": count, "viewed": count, "findings": count, "answered": count},
            {
                "waived": many(shape({"path": matches("(?s:.+)", 4096), "reason": LINE})),
                "waivedFindings": maybe(many(WAIVED)),
                "waivedUnlisted": maybe(count),
            },
        ),
        "reviewer": shape({"id": LINE, "name": LINE, "organization": LINE, "role": LINE}),
        "independence": shape({"declarationDigest": SHA}),
        "policy": shape({"uri": LINE, "digest": SHA}),
        "evidence": many(REFERENCE),
        "nonce": NONCE,
        "signedAt": time,
        "expiresAt": time,
    },
    {
        "conditions": many(LINE),
        "notInspected": many(LINE),
        "override": maybe(shape({"verdict": VERDICT, "reason": LINE})),
        "expedited": maybe(shape({"reason": LINE})),
    },
)
REVIEW = shape(
    {
        "_type": is_(STATEMENT),
        "subject": many(shape({"name": is_("revision"), "digest": SHA}), 1, 1),
        "predicateType": is_(SIGNOFF),
        "predicate": PREDICATE,
    }
)
REVOKED = shape(
    {"kind": matches("statement|key|revision|recipe"), "digest": SHA, "since": time, "reason": TEXT}, {"before": count}
)
REVOCATION_LIST = shape(
    {
        "_type": is_(STATEMENT),
        "subject": many(shape({"name": is_("revocations"), "digest": SHA}), 1, 1),
        "predicateType": is_(REVOCATIONS),
        "predicate": shape({"service": LINE, "number": count, "issuedAt": time, "revoked": many(REVOKED)}),
    }
)
CARRIED = shape(
    {
        "_type": is_(STATEMENT),
        "subject": many(shape({"name": is_("revision"), "digest": SHA}), 1, 1),
        "predicateType": is_(CARRY),
        "predicate": shape(
            {
                "service": LINE,
                "targetRef": LINE,
                "content": shape(
                    {"baseTree": GIT, "baseContent": SHA, "headTree": GIT, "headContent": SHA, "artifacts": SHA}
                ),
                "policy": SHA,
                "evidence": many(REFERENCE),
                "carried": many(shape({"reviewer": LINE, "statement": SHA, "revision": SHA}), 1, 100),
                "carriedAt": time,
            }
        ),
    }
)
SIGNATURE = shape(
    {"keyid": matches("(?s:.*)", 200), "sig": STRING, "kind": matches("ed25519|ssh|ecdsa|webauthn")},
    {"authenticatorData": STRING, "clientDataJSON": STRING},
)
ENVELOPE = shape({"payload": STRING, "payloadType": is_(PAYLOAD_TYPE), "signatures": many(SIGNATURE, 1, 1)})
CONSISTENCY = many(matches("(?s:.{44})"), 0, 64)
LEAF = shape({"type": matches("evidence|key|panel"), "digest": NAMED})
PATH = matches("(?s:.+)", 1000)
DATA = shape(
    {
        "contract": maybe(SHA),
        "path": maybe(PATH),
        "summary": maybe(PATH),
        "bounds": many(shape({"name": LINE, "least": whole, "most": whole}), 0, 100),
    }
)
RECIPE = shape(
    {
        "schema": is_("countersign/recipe/v1"),
        "revision": SHA,
        "repository": LINE,
        "target_ref": LINE,
        "code": SHA,
        "artifacts": many(shape({"name": LINE, "path": maybe(PATH)}), 1, 100),
        "data": DATA,
        "panel": SHA,
        "ratio": between(1000, 10_000),
        "severity": SEVERITY,
        "builds": between(1, 1_000_000),
        "interval_hours": between(1, 8784),
        "lane": shape({"id": LINE, "key": SHA}),
        "nonce": NONCE,
        "issued_at": time,
        "expires_at": time,
    }
)
MEASURES = shape(
    {
        "schema": is_("countersign/measures/v1"),
        "revision": SHA,
        "audit": SHA,
        "diff": SHA,
        "panel": SHA,
        "base": SHA,
        "head": SHA,
        "verdict": VERDICT,
        "analysed": boolean,
        "unsafe": boolean,
        "cells": many(shape({"verdict": CELL, "ratio": maybe(count)}), 0, 100_000),
        "findings": count,
        "severity": maybe(SEVERITY),
        "data": many(shape({"name": LINE, "value": whole}), 0, 100),
    },
    {
        "artifacts": shape({"digest": SHA, "verdict": VERDICT}),
        "people": many(shape({"name": ADDRESS, "email": ADDRESS}), 1, 10_000),
    },
)
BUILD_PREDICATE = shape(
    {
        "recipe": SHA,
        "lane": LINE,
        "number": between(1, 1_000_000),
        "previous": maybe(shape({"statement": SHA, "signedAt": time})),
        "change": shape({"repository": LINE, "targetRef": LINE, "baseTree": GIT, "headTree": GIT, "headCommit": GIT}),
        "policy": SHA,
        "evidence": many(REFERENCE),
        "measured": shape(
            {
                "verdict": VERDICT,
                "cells": count,
                "lowest": maybe(count),
                "highest": maybe(count),
                "findings": count,
                "severity": maybe(SEVERITY),
            }
        ),
        "signedAt": time,
    }
)
BUILD_STATEMENT = shape(
    {
        "_type": is_(STATEMENT),
        "subject": many(shape({"name": is_("revision"), "digest": SHA}), 1, 1),
        "predicateType": is_(BUILD),
        "predicate": BUILD_PREDICATE,
    }
)
BUILT = shape(
    {
        "envelope": ENVELOPE,
        "proof": STRING,
        "consistency": CONSISTENCY,
        "recipe": lambda value, where: RECIPE(value, where) and value,
        "anchor": MANIFEST,
        "measures": MEASURES,
    }
)
UPDATE = shape(
    {
        "schema": is_("countersign/roots-update/v1"),
        "roots": STRING,
    },
    {"signatures": many(matches("(?s:.*)", 20_000), 0, 100)},
)
BUNDLE = shape(
    {
        "schema": is_("countersign/bundle/v1"),
        "revision": MANIFEST,
        "signoffs": many(shape({"envelope": ENVELOPE, "proof": STRING, "consistency": CONSISTENCY}), 1, 100),
        "facts": many(lambda value, where: FACTS(value, where) and value, 1, 100),
        "logged": many(shape({"leaf": LEAF, "proof": STRING, "consistency": CONSISTENCY, "salt": maybe(HEX)}), 0, 1000),
        "revocations": shape({"envelope": ENVELOPE, "proof": STRING}),
    },
    {
        "policy": matches("(?s:.*)", 1 << 20),
        "roots": many(shape({"update": UPDATE, "proof": STRING, "consistency": CONSISTENCY}), 1, 1000),
        "build": BUILT,
        "carry": shape(
            {"envelope": ENVELOPE, "proof": STRING, "consistency": CONSISTENCY, "revisions": many(MANIFEST, 1, 100)}
        ),
    },
)


def b64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused("not standard base64") from None
    need(base64.b64encode(data).decode() == text, "base64 with stray bits")
    return data


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def content_of(revision):
    """What of a manifest must be the same for votes to carry over: all but the commits, and base's content."""
    base, head = revision["base"], revision["head"]
    return {
        "baseTree": base["tree"],
        "headTree": head["tree"],
        "headContent": head["content"],
        "artifacts": {"sha256": sha256(canonical(revision["artifacts"]))},
    }


def came_to(facts):
    """What of a review must be the same for votes to carry over: all but answers, times and makers."""
    findings = sorted((one["id"], one["rule"], one["severity"]) for one in facts["findings"])
    verdicts = sorted((one["name"], one["verdict"], one.get("unsafe", False)) for one in facts["evidence"])
    return facts.get("paths"), facts["files"]["total"], findings, verdicts


def fold(name):
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def fold_email(email):
    """An address without case and outer space, and without a ``+tag``."""
    local, at, domain = fold(email).rpartition("@")
    return f"{local.split('+', 1)[0] or local}{at}{domain}"


# Keys and signatures. A key is OpenSSH's wire form; what it may verify is decided by the key, never by the signature.


class Wire:
    """SSH's encoding (RFC 4251), read from front to back."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        need(length <= len(self.data) - self.at, "a key or signature ends too early")
        self.at += length
        return self.data[self.at - length : self.at]

    def string(self):
        return self.take(int.from_bytes(self.take(4), "big"))

    def name(self):
        text = self.string().decode("latin-1")
        need(text.isascii() and text.isprintable(), "a name that is not printable ASCII")
        return text

    def number(self):
        raw = self.string()
        need(raw and not raw[0] & 0x80, "a number that is negative or empty")
        need(raw[0] or (len(raw) > 1 and raw[1] & 0x80), "a number that is zero or padded")
        return int.from_bytes(raw, "big")

    def end(self):
        need(self.at == len(self.data), "bytes too many in a key or signature")


def check_scope(party, origin):
    """A passkey's relying party and origin are such that a browser allows them."""
    label = "[a-z0-9-]{0,61}[a-z0-9]"
    domain = rf"(?=.{{1,253}}$)(?:[a-z0-9](?:{label})?\.)*[a-z](?:{label})?"
    parts = re.fullmatch(r"(https?)://([a-z0-9.-]+)(?::[1-9][0-9]{0,4})?", origin)
    need(re.fullmatch(domain, party) and parts, "a passkey of no domain, or of no origin")
    need(parts[2] == party or parts[2].endswith(f".{party}"), "a passkey whose origin is not within its domain")
    need(parts[1] == "https" or parts[2] == "localhost", "a passkey used without TLS")


class Key:
    """A public key: ``kind`` is its OpenSSH type, ``public`` what `cryptography` makes of it, ``where`` its scope.

    ``bare`` is the key alone: the same for one key in two wrappings, as software and as hardware key or passkey.
    """

    def __init__(self, blob):
        self.blob = blob
        wire = Wire(blob)
        self.kind, self.where, self.hash = wire.name(), (), hashes.SHA256
        if self.kind in {"ssh-ed25519", "sk-ssh-ed25519@openssh.com", "webauthn-ed25519@countersign.dev"}:
            raw = wire.string()
            need(len(raw) == 32, "an Ed25519 key has 32 bytes")
            self.public, self.bare = Ed25519PublicKey.from_public_bytes(raw), ("ed25519", raw)
        elif self.kind in {"ssh-rsa", "webauthn-rs256@countersign.dev"}:
            exponent, modulus = wire.number(), wire.number()
            need(2048 <= modulus.bit_length() <= 8192 and 65537 <= exponent < 1 << 32, "a weak RSA key")
            self.public, self.bare = rsa.RSAPublicNumbers(exponent, modulus).public_key(), (exponent, modulus)
        else:
            curve = wire.name()
            kinds = {f"ecdsa-sha2-{curve}"} | (
                {"sk-ecdsa-sha2-nistp256@openssh.com", "webauthn-es256@countersign.dev"}
                if curve == "nistp256"
                else set()
            )
            need(curve in CURVES and self.kind in kinds, f"keys of type {self.kind[:40]!r} are not accepted")
            made, self.hash = CURVES[curve]
            point = wire.string()
            need(point[:1] == b"\x04", "a point that is not in uncompressed form")
            self.public, self.bare = ec.EllipticCurvePublicKey.from_encoded_point(made(), point), (curve, point)
        if self.kind.startswith("sk-"):
            self.where = (wire.string(),)
        elif self.kind.startswith("webauthn-"):
            self.where = (wire.string(), wire.string())
            check_scope(*(text.decode("ascii") for text in self.where))
        wire.end()

    def check(self, signature, message):
        if isinstance(self.public, Ed25519PublicKey):
            self.public.verify(signature, message)
        else:
            self.public.verify(signature, message, ec.ECDSA(self.hash()))

    def check_ssh(self, blob, message):
        """OpenSSH's PROTOCOL.sshsig in the namespace ``countersign``."""
        wire = Wire(blob)
        need(wire.take(10) == b"SSHSIG\x00\x00\x00\x01", "not an SSH signature of version 1")
        need(wire.string() == self.blob, "made by another key")
        need((wire.string(), wire.string()) == (b"countersign", b""), "made for another purpose")
        name, inner = wire.name(), Wire(wire.string())
        wire.end()
        need(name in {"sha256", "sha512"}, "another hash than sha256 or sha512")
        parts = (b"countersign", b"", name.encode(), hashlib.new(name, message).digest())
        signed = b"SSHSIG" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        algorithm, value = inner.name(), inner.string()
        if self.kind == "ssh-rsa":
            made = {"rsa-sha2-256": hashes.SHA256, "rsa-sha2-512": hashes.SHA512}.get(algorithm)
            need(made is not None and len(value) == (self.public.key_size + 7) // 8, "another algorithm than the key's")
            inner.end()
            self.public.verify(value, signed, padding.PKCS1v15(), made())
            return
        need(algorithm == self.kind and not self.kind.startswith("webauthn-"), "another algorithm than the key's")
        if self.kind.startswith("sk-"):  # a hardware key signs its application, flags and counter too
            tail = inner.take(5)
            need(tail[0] & 1, "the hardware key was not touched")
            signed = hashlib.sha256(self.where[0]).digest() + tail + hashlib.sha256(signed).digest()
        inner.end()
        if not isinstance(self.public, Ed25519PublicKey):
            parts = Wire(value)
            value = encode_dss_signature(parts.number(), parts.number())
            parts.end()
        self.check(value, signed)

    def check_passkey(self, signature, authenticator, client, message):
        """A WebAuthn assertion whose challenge is the message's SHA-256, by a verified person at the key's origin."""
        need(self.kind.startswith("webauthn-"), "not a passkey")
        signed = authenticator + hashlib.sha256(client).digest()
        if isinstance(self.public, rsa.RSAPublicKey):
            self.public.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            if not isinstance(self.public, Ed25519PublicKey):
                one_der(signature)
            self.check(signature, signed)
        said, (party, origin) = parse(client, "clientDataJSON", 4096, float), self.where
        asked = base64.urlsafe_b64encode(hashlib.sha256(message).digest()).rstrip(b"=").decode()
        need(
            isinstance(said, dict)
            and (said.get("type"), said.get("challenge"), said.get("origin"))
            == ("webauthn.get", asked, origin.decode()),
            "the passkey signed something else, or elsewhere",
        )
        need(
            said.get("crossOrigin", False) is False and "topOrigin" not in said, "used within a page of another origin"
        )
        need(len(authenticator) == 37 and authenticator[:32] == hashlib.sha256(party).digest(), "another relying party")
        flags = authenticator[32]
        need(flags & 5 == 5 and not flags & 0xC0 and flags & 0x18 != 0x10, "no verified person touched the passkey")


def one_der(signature):
    need(encode_dss_signature(*decode_dss_signature(signature)) == signature, "not in DER")


def key_of(line):
    parts = line.strip().split(None, 2)
    need(len(parts) > 1, "not an OpenSSH public key line")
    key = Key(b64(parts[1]))
    need(key.kind == parts[0], "a key that is not of the type before it")
    return key


class Entry:
    """A key of the roots file and the time for which it counts."""

    def __init__(self, written):
        self.key = key_of(written["public"])
        self.start, until = time(written["valid_from"], "valid_from"), written.get("valid_until")
        self.end = None if until is None else time(until, "valid_until")

    def counts(self, moment):
        return self.start <= moment and (self.end is None or moment < self.end)


# Roots change hands by updates: version N+1 names N by digest, and is signed by enough administrators of both.


def armoured(text):
    """The SSH signature within its armour, in the one spelling that there is of it."""
    first, last = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
    lines = text.strip().split("\n")
    need(len(lines) > 2 and (lines[0], lines[-1]) == (first, last), "not an SSH signature")
    return b64("".join(lines[1:-1]))


def signers(update):
    """The keys that signed an update, each signature verified."""
    roots, kind = b64(update["roots"]), "application/vnd.countersign.roots+json"
    message = b"DSSEv1 %d %s %d " % (len(kind), kind.encode(), len(roots)) + roots
    found = []
    for text in update.get("signatures", ()):
        blob = armoured(text)
        need(blob[:10] == b"SSHSIG\x00\x00\x00\x01", "not an SSH signature of version 1")
        key = Key(Wire(blob[10:]).string())
        try:
            key.check_ssh(blob, message)
        except InvalidSignature:
            raise Refused("an update of the roots with a signature that is not over it") from None
        found.append(key)
    return found


def enough(roots, keys, moment):
    """As many distinct administrators as these roots ask for signed, by keys that counted at a time."""
    people, bare = set(), set()
    for person in roots["people"]:
        for entry in map(Entry, person.get("keys", ())):
            signed = entry.key.blob in {key.blob for key in keys} and entry.counts(moment)
            if signed and "administrator" in person["roles"]:
                people.add(fold(person["id"]))
                bare.add(entry.key.bare)
    need(min(len(people), len(bare)) >= roots["administration"]["threshold"] >= 2, "roots that too few signed")


def kept(old, new):
    """People and keys are ended, never removed or moved, and no new key begins before the roots were issued."""
    need(old["service"]["id"] == new["service"]["id"], "roots of another service")
    need(all(log in new.get("logs", []) for log in old.get("logs", [])), "roots without a log that they had")

    def keys(roots):
        held = [(f"person {one['id']}", one.get("keys", ())) for one in roots["people"]]
        held += [(f"lane {one['id']}", one["keys"]) for one in roots.get("build_lanes", ())]
        return {owner: {entry.key.blob: entry for entry in map(Entry, written)} for owner, written in held}

    before, after = keys(old), keys(new)
    bare = {entry.key.bare for entries in before.values() for entry in entries.values()}
    for owner, entries in before.items():
        need(owner in after or (owner.startswith("lane ") and not entries), "roots without somebody whom they had")
        for blob, entry in entries.items():
            now = after[owner].get(blob)
            need(now is not None and now.start == entry.start, "roots that take a key away, or move it")
            ended = entry.end is None or (now.end is not None and now.end <= entry.end)
            need(ended, "roots by which a key that was ended counts again")
    issued = time(new["administration"]["issued"], "issued")
    for entries in after.values():
        fresh = [entry for entry in entries.values() if entry.key.bare not in bare]
        need(all(entry.start >= issued for entry in fresh), "a new key that begins before its roots")


def accept(before, update, moment):
    """The roots of an update that follows on these bytes, signed by who counted at a time."""
    data = b64(update["roots"])
    old, new = parse(before, "roots"), parse(data, "roots")
    plan, former = new["administration"], old["administration"]
    need(plan["version"] == former["version"] + 1, "another version of the roots than the next")
    need(plan["previous"]["sha256"] == sha256(before), "roots that do not follow on those before")
    need(time(former["issued"], "issued") <= time(plan["issued"], "issued") <= moment, "roots of another time")
    kept(old, new)
    keys = signers(update)
    enough(new, keys, moment)
    enough(old, keys, moment)
    return data


BESIDE = ("authenticatorData", "clientDataJSON")


def payload_and_key(envelope, entries):
    """The payload of a DSSE envelope and the entry of the key that signed it. ``keyid`` is not looked at."""
    payload, signature = b64(envelope["payload"]), envelope["signatures"][0]
    value, kind = b64(signature["sig"]), signature["kind"]
    message = b"DSSEv1 %d %s %d " % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload)) + payload
    beside = [b64(signature[name]) for name in BESIDE if name in signature]
    for entry in entries:
        try:
            if kind == "ssh":
                entry.key.check_ssh(value, message)
            elif kind == "webauthn":
                entry.key.check_passkey(value, *beside, message)
            elif kind == "ecdsa":
                need(entry.key.kind.startswith("ecdsa-"), "not a plain ECDSA key")
                one_der(value)
                entry.key.check(value, message)
            else:
                need(entry.key.kind == "ssh-ed25519", "not a plain Ed25519 key")
                entry.key.check(value, message)
        except (InvalidSignature, Refused, ValueError):
            continue
        return payload, entry
    raise Refused("signed by none of the keys in the roots file")


# The log: RFC 6962 hashes, C2SP signed notes, checkpoints, cosignatures, proofs and witness policies.


def leaf_hash(leaf):
    return hashlib.sha256(b"\x00" + canonical(leaf)).digest()


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def check_inclusion(leaf, index, size, path, root):
    """RFC 9162, section 2.1.3.2."""
    need(0 <= index < size, "no such entry")
    at, last, running = index, size - 1, leaf
    for sibling in path:
        need(last, "the proof is too long")
        if at & 1 or at == last:
            running = node(sibling, running)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            running = node(running, sibling)
        at, last = at >> 1, last >> 1
    need(not last and running == root, "the proof does not lead to the checkpoint's root")


def check_consistency(old, new, old_root, new_root, path):
    """RFC 9162, section 2.1.4.2: the tree of ``new`` entries begins with that of ``old``."""
    need(old <= new, "a log does not shrink")
    if old in {0, new}:
        empty = hashlib.sha256(b"").digest()
        need(not path and (old != new or old_root == new_root) and (old or old_root == empty), "the roots do not agree")
        return
    path = ([old_root] if old & (old - 1) == 0 else []) + path
    need(path, "the proof is too short")
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        need(last, "the proof is too long")
        if at & 1 or at == last:
            first, second = node(sibling, first), node(sibling, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node(second, sibling)
        at, last = at >> 1, last >> 1
    need(not last and (first, second) == (old_root, new_root), "the newer log does not begin with the older")


class NoteKey:
    """A key that signs notes, out of its vkey text ``<name>+<id>+<base64>``."""

    def __init__(self, vkey, kinds):
        parts = vkey.split("+", 2)
        need(
            len(parts) == 3 and parts[0] and not any(c.isspace() or not c.isprintable() for c in parts[0]),
            "not a verifier key",
        )
        self.name, material = parts[0], b64(parts[2])
        need(
            material and material[0] in kinds and len(material) == 1 + (1312 if material[0] == 6 else 32),
            "a verifier key of another kind",
        )
        self.kind, self.public = material[0], material[1:]
        self.id = hashlib.sha256(self.name.encode() + b"\n" + material).digest()[:4]
        need(parts[1] == self.id.hex(), "a verifier key whose id is not its own")


def open_note(note):
    """The text of a signed note and its signature lines: (key name, key id, signature)."""
    need(len(note) <= 64 << 10 and not any(c < " " and c != "\n" for c in note), "not a signed note")
    text, blank, tail = note.rpartition("\n\n")
    need(blank and tail.endswith("\n"), "a note without signatures")
    lines = []
    for line in tail[:-1].split("\n"):
        parts = line.removeprefix("\u2014 ").split(" ")
        need(
            line.startswith("\u2014 ") and len(parts) == 2 and parts[0] and "+" not in parts[0],
            "a signature line that is none",
        )
        need(not any(c.isspace() or not c.isprintable() for c in parts[0]), "a signature line that is none")
        material = b64(parts[1])
        need(len(material) > 4, "a signature line without a signature")
        lines.append((parts[0], material[:4], material[4:]))
    need(len(lines) <= 64, "too many signatures")
    return text + "\n", lines


def open_checkpoint(note, key):
    """Size and root of a checkpoint that the log's key signed."""
    text, lines = open_note(note)
    own = [value for name, identifier, value in lines if (name, identifier) == (key.name, key.id)]
    need(len(own) == 1, f"{len(own)} signatures by the log {key.name}")
    Ed25519PublicKey.from_public_bytes(key.public).verify(own[0], text.encode())
    parts = text.split("\n")
    need(len(parts) == 4 and parts[0] == key.name and re.fullmatch("0|[1-9][0-9]{0,17}", parts[1]), "not a checkpoint")
    root = b64(parts[2])
    need(len(root) == 32, "a root hash that is not 32 bytes")
    return int(parts[1]), root


def cosigned_at(note, key):
    """The time at which a witness cosigned a checkpoint; None if it did not. C2SP tlog-cosignature."""
    text, lines = open_note(note)
    own = [value for name, identifier, value in lines if (name, identifier) == (key.name, key.id)]
    if not own:
        return None
    need(len(own) == 1 and len(own[0]) > 8, "two cosignatures of one witness, or one without a time")
    seconds, signature = int.from_bytes(own[0][:8], "big"), own[0][8:]
    need(0 < seconds <= 253_402_300_799, "a cosignature of no time that there is")
    if key.kind == 4:
        message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    else:
        origin, size, root = text.split("\n")[:3]
        short = [bytes([len(name.encode())]) + name.encode() for name in (key.name, origin)]
        message = (
            b"subtree/v1\n\x00" + short[0] + own[0][:8] + short[1] + bytes(8) + int(size).to_bytes(8, "big") + b64(root)
        )
        MLDSA44PublicKey.from_public_bytes(key.public).verify(signature, message)
    return datetime.fromtimestamp(seconds, UTC)


class Quorum:
    """A witness policy, C2SP tlog-policy."""

    def __init__(self, text):
        self.witnesses, self.groups, self.rule, members = {}, {}, None, set()
        for line in text.split("\n"):
            words = line.replace("\t", " ").split(" ")
            words = [word for word in words if word]
            if not words or words[0].startswith("#"):
                continue
            kind, rest = words[0], words[1:]
            if kind == "log" and len(rest) in {1, 2}:
                NoteKey(rest[0], {1})
            elif kind == "witness" and len(rest) in {2, 3}:
                key = NoteKey(rest[1], {4, 6})
                need(key.public not in {one.public for one in self.witnesses.values()}, "a witness's key twice")
                self.witnesses[self.fresh(rest[0])] = key
            elif kind == "group" and len(rest) > 2:
                named = rest[2:]
                need(
                    all(self.known(one) for one in named)
                    and not members & set(named)
                    and len(set(named)) == len(named),
                    "members of a group",
                )
                members |= set(named)
                threshold = {"any": 1, "all": len(named)}.get(rest[1]) or (
                    int(rest[1]) if re.fullmatch("[1-9][0-9]{0,2}", rest[1]) else 0
                )
                need(1 <= threshold <= len(named), "a threshold that nothing could meet")
                self.groups[self.fresh(rest[0])] = (threshold, named)
            else:
                need(
                    kind == "quorum"
                    and len(rest) == 1
                    and self.rule is None
                    and (rest[0] == "none" or self.known(rest[0])),
                    "a witness policy that is none",
                )
                self.rule = rest[0]
        need(self.rule is not None, "a witness policy without a quorum")

    def known(self, name):
        return name in self.witnesses or name in self.groups

    def fresh(self, name):
        need(name != "none" and not self.known(name), "a name twice")
        return name

    def at(self, note):
        """When the quorum was complete."""
        times = {name: cosigned_at(note, key) for name, key in self.witnesses.items()}

        def complete(name):
            if name in self.witnesses:
                return times[name]
            threshold, named = self.groups[name]
            found = sorted(at for one in named if (at := complete(one)) is not None)
            return found[threshold - 1] if len(found) >= threshold else None

        if self.rule == "none":
            return None
        found = complete(self.rule)
        need(found is not None, "cosigned by fewer witnesses than the quorum")
        return found


class Proof:
    """C2SP tlog-proof: index, inclusion path and checkpoint."""

    def __init__(self, text):
        need(len(text) <= 128 << 10, "a proof that is too large")
        head, blank, self.note = text.partition("\n\n")
        lines = head.split("\n")
        need(blank and len(lines) >= 2 and lines[0] == "c2sp.org/tlog-proof@v1", "not a proof")
        number = re.fullmatch("index (0|[1-9][0-9]{0,17})", lines[1])
        need(number and len(lines) <= 66, "a proof without an index, or too long")
        self.index, self.path = int(number[1]), [b64(line) for line in lines[2:]]
        need(all(len(one) == 32 for one in self.path), "a hash that is not 32 bytes")
        self.origin = self.note.split("\n", 1)[0]

    def check(self, leaf, key):
        size, root = open_checkpoint(self.note, key)
        check_inclusion(leaf_hash(leaf), self.index, size, self.path, root)
        return size, root


def entries_of(evidence, logged, before):
    """The log's entries for what a statement rests on; a panel's is the last commitment before it that fits."""
    wanted = []
    for piece in evidence:
        named = piece["digest"]["sha256"]
        if piece["name"] == "panel":
            opened = [
                (place[0], one)
                for one, (place, salt) in logged.items()
                if salt
                and place[0] < before
                and "sha256:" + sha256(PANEL_DOMAIN + bytes.fromhex(salt + named)) == one[1]
            ]
            wanted.append(max(opened)[1] if opened else ("panel", "sha256:" + named))
        else:
            wanted.append(("evidence", "sha256:" + named))
    return wanted


# Recipes: what people sign once for the builds of a machine that retrains. What they must be to be one at all.


def ordered(names, what):
    need(names == sorted(set(names)), f"{what} out of order, or one twice")


def check_recipe(recipe):
    ordered([one["name"] for one in recipe["artifacts"]], "artifacts of a recipe")
    ordered([one["name"] for one in recipe["data"]["bounds"]], "bounds")
    data, paths = recipe["data"], [one["path"] for one in recipe["artifacts"] if one["path"] is not None]
    need(len(set(paths)) == len(paths), "two artifacts at one path")
    for path in [*paths, *([data["path"]] if data["path"] is not None else ())]:
        plain = posixpath.normpath(path) == path and not path.startswith(("/", "../")) and path not in {".", ".."}
        need(path.isprintable() and plain, "a path that is none")
    need("countersign.toml" not in paths and data["path"] not in paths, "a recipe that lets the manifest change")
    need(data["summary"] is None or data["summary"] in paths, "a summary that is no artifact")
    need(not data["bounds"] or data["summary"] is not None, "bounds without a summary")
    need(all(one["least"] <= one["most"] for one in data["bounds"]), "a bound that nothing could meet")
    need((data["contract"] is None) == (data["path"] is None), "a data contract without path or digest")
    begins, ends = recipe["issued_at"], recipe["expires_at"]
    need(begins < ends <= begins + timedelta(days=366), "a recipe that ends before it begins, or after over a year")


def check_measures(measures):
    cells = [(-1 if cell["ratio"] is None else cell["ratio"], cell["verdict"]) for cell in measures["cells"]]
    need(cells == sorted(cells), "cells out of order")
    ordered([one["name"] for one in measures["data"]], "figures of data")
    ordered([(one["name"], one["email"]) for one in measures.get("people", ())], "people")


# The procedure. Each step returns what it found, or raises why it is refused; the first that does not hold ends it.


class Verification:
    def __init__(self, bundle, roots, policy, artifacts, now):
        self.given, self.policy_text = (bundle, roots), policy
        self.artifacts, self.now = artifacts, now
        self.votes = []  # (person, entry, statement, payload, sign-off)
        self.carry = None  # (entry, predicate, payload) of what votes on earlier revisions count by
        self.lane = None  # of a build: (entry, statement, payload)

    def step_1_bundle(self):
        document = canonical_document(self.given[0], "bundle")
        self.bundle = bundle = BUNDLE(document, "bundle")
        self.build = build = bundle.get("build")
        carry = [bundle["carry"]] if "carry" in bundle else []
        need(not carry or not build, "a build with votes that were carried over")
        earlier = carry[0]["revisions"] if carry else []
        for manifest in (bundle["revision"], *earlier, *([build["anchor"]] if build else ())):
            ordered([one["name"] for one in manifest["artifacts"]], "artifacts")
        self.earlier = {sha256(canonical(one)): one for one in earlier}
        need(list(self.earlier) == sorted(self.earlier) and len(self.earlier) == len(earlier), "revisions out of order")
        signed = [*bundle["signoffs"], *carry, *([build] if build else ())]
        for envelope in [one["envelope"] for one in signed]:
            need(len(canonical(envelope)) <= 64 << 10, "an envelope that is too large")
        for envelope in [one["envelope"] for one in (*signed, bundle["revocations"])]:
            signature = envelope["signatures"][0]
            need(
                [name in signature for name in BESIDE] == [signature["kind"] == "webauthn"] * 2,
                "authenticatorData and clientDataJSON go with a passkey",
            )
            for value in (envelope["payload"], signature["sig"], *(signature.get(name, "") for name in BESIDE)):
                b64(value)
        self.facts = {sha256(canonical(one)): one for one in bundle["facts"]}
        need(list(self.facts) == sorted(self.facts) and len(self.facts) == len(bundle["facts"]), "facts out of order")
        for facts, kind in [(facts, kind) for facts in bundle["facts"] for kind in ("evidence", "findings")]:
            named = [one["name" if kind == "evidence" else "id"] for one in facts[kind]]
            need(len(set(named)) == len(named), f"{kind} twice in the facts")
        order = [(one["leaf"]["type"], one["leaf"]["digest"]) for one in bundle["logged"]]
        need(order == sorted(set(order)), "logged entries out of order")
        need(
            all((one["salt"] is None) == (one["leaf"]["type"] != "panel") for one in bundle["logged"]),
            "a salt out of place",
        )
        if build:
            check_recipe(RECIPE(build["recipe"], "recipe"))
            check_measures(build["measures"])
        self.changes = bundle.get("roots", [])
        self.updates = [canonical(one["update"]) for one in document.get("roots", []) if b64(one["update"]["roots"])]
        for one in (*signed, *bundle["logged"], bundle["revocations"], *self.changes):
            one["proof"] = Proof(one["proof"])
            one["consistency"] = [b64(text) for text in one.get("consistency", ())]
            need(all(len(sibling) == 32 for sibling in one["consistency"]), "a hash that is not 32 bytes")
        self.revision = sha256(canonical(document["revision"]))
        self.reviewed = bundle["revision"]  # what people signed: of a build the revision that its recipe hangs on
        if build:
            self.reviewed = build["anchor"]
            self.terms = RECIPE(build["recipe"], "recipe")
            self.recipe = sha256(canonical(build["recipe"]))
            self.measures = document["build"]["measures"]
        self.signed_for = sha256(canonical(self.reviewed))
        return f"revision sha256:{self.revision}" + (f", a build under recipe sha256:{self.recipe}" if build else "")

    def follow(self):
        """The roots that were given, or those to which the bundle's updates lead on from them."""
        given = self.given[1]
        contents, self.led = [b64(one["update"]["roots"]) for one in self.changes], []
        plans = [parse(one, "roots")["administration"] for one in contents]
        for before, plan in zip(contents, plans[1:], strict=False):
            need(plan["previous"]["sha256"] == sha256(before), "updates of the roots that do not follow on one another")
        if not contents:
            return given
        held = parse(given, "roots").get("administration")
        if given in contents:
            at = contents.index(given) + 1
        elif (plans[0].get("previous") or {}).get("sha256") == sha256(given):
            need(held is not None, "roots without administrators, of which no update is followed")
            at = 0
        else:
            need(held is not None and held["version"] > plans[-1]["version"], "updates that lead on from other roots")
            at = len(contents)
        for one in self.changes[at:]:
            issued = time(parse(b64(one["update"]["roots"]), "roots")["administration"]["issued"], "issued")
            need(issued <= self.now + SKEW, "roots from the future")
            quorum = parse(given, "roots").get("quorum")
            if quorum is None or Quorum(quorum).rule == "none":
                accept(given, one["update"], self.now + SKEW)
            self.led.append((given, one))
            given = accept(given, one["update"], issued)
        return given

    def check_roots_logged(self, key, size, root):
        """Every update is in the log in its order; who signed those that were followed counted when it was seen."""
        last = -1
        for written, one in zip(self.updates, self.changes, strict=True):
            old, old_root = one["proof"].check({"type": "roots", "digest": "sha256:" + sha256(written)}, key)
            check_consistency(old, size, old_root, root, one["consistency"])
            need(one["proof"].index > last, "updates of the roots in another order")
            last = one["proof"].index
        for before, one in self.led:
            quorum = parse(before, "roots").get("quorum")
            seen = None if quorum is None else Quorum(quorum).at(one["proof"].note)
            if seen is not None:
                accept(before, one["update"], seen + SKEW)

    def step_2_signatures(self):
        self.roots = roots = parse(self.follow(), "roots")
        self.quorum = None if roots.get("quorum") is None else Quorum(roots["quorum"])
        self.dated = self.quorum is not None and self.quorum.rule != "none"
        people = [(person, Entry(written)) for person in roots["people"] for written in person["keys"]]
        service = [Entry(written) for written in roots["service"].get("keys", ())]
        gates = [Entry(written) for gate in roots.get("gates", ()) for written in gate["keys"]]
        lanes = [(lane["id"], Entry(key)) for lane in roots.get("build_lanes", ()) for key in lane["keys"]]
        bare = [entry.key.bare for entry in (*(entry for _, entry in (*people, *lanes)), *service, *gates)]
        notes = [NoteKey(one["vkey"], {1}) for one in roots["logs"]]
        notes += [] if self.quorum is None else [one for one in self.quorum.witnesses.values() if one.kind == 4]
        bare += [("ed25519", one.public) for one in notes]
        need(len(set(bare)) == len(bare), "one key in two places of the roots")
        ids = [fold(person["id"]) for person in roots["people"]]
        need(len(set(ids)) == len(ids), "two people of one id in the roots")
        emails = [one for person in roots["people"] for one in {fold_email(one) for one in person.get("emails", ())}]
        need(len(set(emails)) == len(emails), "two people of one address in the roots")
        called = [{fold(one) for one in (person["id"], *person.get("accounts", ()))} for person in roots["people"]]
        need(len(set().union(*called)) == sum(map(len, called)), "one account or id of two people in the roots")
        ids = [fold(lane["id"]) for lane in roots.get("build_lanes", ())]
        need(len(set(ids)) == len(ids), "two lanes of one id in the roots")
        for signoff in self.bundle["signoffs"]:
            payload, entry = payload_and_key(signoff["envelope"], [entry for _, entry in people])
            person = next(person for person, one in people if one is entry)
            statement = REVIEW(canonical_document(payload, "statement", 45_000), "statement")
            self.check_statement(statement["predicate"])
            signed = statement["predicate"]["signedAt"]
            need(entry.counts(signed) and (self.dated or entry.counts(self.now)), "a key that did not count")
            said = statement["predicate"]["reviewer"]
            need(all(said[name] == person[name] for name in ("id", "name", "organization")), "signed in another's name")
            need(said["role"] in person["roles"], "signed in a role that the roots do not give")
            need(said["role"] not in READ_ONLY, "signed in a role that only reads")
            self.votes.append((person, entry, statement, payload, signoff))
        payload, entry = payload_and_key(self.bundle["revocations"]["envelope"], service)
        document = canonical_document(payload, "revocation list", 8 << 20)
        self.list = REVOCATION_LIST(document, "revocation list")["predicate"]
        need(
            document["subject"][0]["digest"]["sha256"] == sha256(canonical(document["predicate"]["revoked"])),
            "a list that is not its subject",
        )
        order = [(one["kind"], one["digest"]["sha256"]) for one in self.list["revoked"]]
        need(order == sorted(set(order)), "revocations out of order")
        need(
            entry.counts(self.list["issuedAt"]) and self.list["service"] == roots["service"]["id"],
            "a list of another service or key",
        )
        need(
            all("before" not in one or one["kind"] == "recipe" for one in self.list["revoked"]),
            "an entry of the log out of place",
        )
        if self.build:
            self.check_lane(lanes)
        if "carry" in self.bundle:
            self.read_carry(service)
        return ", ".join(f"{vote[0]['id']}: {vote[2]['predicate']['decision']}" for vote in self.votes)

    def read_carry(self, service):
        """What the service carried over: one statement a person, none of which was given to this very revision."""
        payload, entry = payload_and_key(self.bundle["carry"]["envelope"], service)
        document = CARRIED(canonical_document(payload, "carry-over", 45_000), "carry-over")
        said = document["predicate"]
        named = [one["name"] for one in said["evidence"]]
        need(len(set(named)) == len(named) and "facts" in named, "evidence twice, or without facts")
        statements = [one["statement"]["sha256"] for one in said["carried"]]
        need(statements == sorted(set(statements)), "carried statements out of order")
        need(len({fold(one["reviewer"]) for one in said["carried"]}) == len(statements), "two of one person carried")
        self.carried_to = document["subject"][0]["digest"]["sha256"]
        need(
            all(one["revision"]["sha256"] != self.carried_to for one in said["carried"]),
            "a vote carried over to its own revision",
        )
        need(
            entry.counts(said["carriedAt"]) and (self.dated or entry.counts(self.now)),
            "carried over by a key that did not count",
        )
        need(said["service"] == self.roots["service"]["id"], "carried over by another service")
        self.carry = (entry, said, payload)

    def check_lane(self, lanes):
        """A build is signed by the lane and the key that its recipe names, which sign nothing else."""
        payload, entry = payload_and_key(self.build["envelope"], [entry for _, entry in lanes])
        lane = next(lane for lane, one in lanes if one is entry)
        document = canonical_document(payload, "build", 45_000)
        predicate = BUILD_STATEMENT(document, "build")["predicate"]
        names, previous = [one["name"] for one in predicate["evidence"]], predicate["previous"]
        asked = ["artifacts", "audit", "diff", "measures", "panel"]  # artifacts were not asked for once
        need(names in (asked, asked[1:]), "other evidence than a build's")
        need((predicate["number"] == 1) == (previous is None), "each build but the first names the one before")
        need(previous is None or previous["signedAt"] <= predicate["signedAt"], "signed before the build before it")
        need(predicate["lane"] == lane == self.terms["lane"]["id"], "another lane than the recipe's")
        need(sha256(entry.key.blob) == self.terms["lane"]["key"]["sha256"], "another key than the recipe's")
        counts = entry.counts(predicate["signedAt"]) and (self.dated or entry.counts(self.now))
        need(counts, "a lane's key that did not count")
        self.lane = (entry, document, payload, predicate)

    def check_statement(self, predicate):
        names = [one["name"] for one in predicate["evidence"]]
        need(len(set(names)) == len(names) and "facts" in names, "evidence twice, or without facts")
        need(("recipe" in names) == ("builds" in predicate["scope"]), "a recipe goes with 'builds' in the scope")
        plain = predicate["decision"] == "APPROVED" and predicate.get("expedited") is None
        need("recipe" not in names or plain, "a recipe is signed by a plain approval")
        conditional = predicate["decision"] == "APPROVED_WITH_CONDITIONS"
        need(conditional == bool(predicate.get("conditions")), "conditions go with APPROVED_WITH_CONDITIONS")
        coverage = predicate["coverage"]
        waived = [one["path"] for one in coverage.get("waived", ())]
        need(
            len(set(waived)) == len(waived) and coverage["viewed"] + len(waived) <= coverage["files"],
            "coverage beyond what there is",
        )
        named = coverage.get("waivedFindings")
        need((named is None) == (coverage.get("waivedUnlisted") is None), "waived findings half told")
        need(len({one["id"] for one in named or ()}) == len(named or ()), "a finding waived twice")
        need(coverage["answered"] <= coverage["findings"], "coverage beyond what there is")
        need(predicate["signedAt"] < predicate["expiresAt"], "expires before it is signed")

    def step_3_people(self):
        for values in (
            [fold(vote[0]["id"]) for vote in self.votes],
            [vote[1].key.bare for vote in self.votes],
            [vote[2]["predicate"]["nonce"] for vote in self.votes],
        ):
            need(len(set(values)) == len(values), "one person or one key signed twice, or one nonce stands twice")
        targets = {vote[2]["predicate"]["change"]["targetRef"] for vote in self.votes}
        targets |= set() if self.carry is None else {self.carry[1]["targetRef"]}
        need(len(targets) == 1, "different targets")
        return (
            f"{len(self.votes)} people of {len({fold(vote[0]['organization']) for vote in self.votes})} organisations"
        )

    def step_4_policy(self):
        carried = self.bundle.get("policy")
        if self.policy_text is None and carried is None:
            return None
        if self.policy_text is None:
            self.policy_text = carried.encode()
        digest = sha256(self.policy_text)
        need(
            all(vote[2]["predicate"]["policy"]["digest"]["sha256"] == digest for vote in self.votes),
            "signed under another policy",
        )
        need(self.lane is None or self.lane[3]["policy"]["sha256"] == digest, "countersigned under another policy")
        need(carried is None or carried.encode() == self.policy_text, "the bundle carries another policy")
        self.policy = tomllib.loads(self.policy_text.decode())
        if self.carry is not None:
            need(self.carry[1]["policy"]["sha256"] == digest, "carried over under another policy")
            need(
                self.policy.get("votes", {}).get("carry_over") is True,
                "carried over, which the policy does not allow",
            )
        return f"sha256:{digest}"

    def step_5_subject(self):
        bound = set()
        for person, _, statement, payload, _ in self.votes:
            predicate = statement["predicate"]
            signed = statement["subject"][0]["digest"]["sha256"]
            revision = self.reviewed
            if signed != self.signed_for:
                revision = self.carried_from(person, signed, payload, predicate)
            change = {name: predicate["change"][name] for name in ("repository", "baseTree", "headTree", "headCommit")}
            told = (
                revision["repository"],
                revision["base"]["tree"],
                revision["head"]["tree"],
                revision["head"]["commit"],
            )
            need(tuple(change.values()) == told, "the statement describes another change than its manifest")
            evidence = {one["name"]: one["digest"]["sha256"] for one in predicate["evidence"]}
            facts = self.facts.get(evidence["facts"])
            need(
                facts is not None and facts["revision"]["sha256"] == signed,
                "the facts that were signed are not there",
            )
            need(
                all(evidence.get(one["name"]) == one["digest"]["sha256"] for one in facts["evidence"]),
                "facts of other evidence",
            )
            said, files = predicate["coverage"], facts["files"]
            answered = sum(one.get("answer") is not None for one in facts["findings"])
            waived = len(said.get("waived", ()))
            need(
                (said["files"], said["viewed"], waived) == (files["total"], files["viewed"], files["waived"]),
                "other coverage than the facts'",
            )
            need(
                (said["findings"], said["answered"]) == (len(facts["findings"]), answered),
                "other coverage than the facts'",
            )
            named = said.get("waivedFindings")
            if named is not None:
                told = {
                    (one["id"], one["rule"], one["severity"], one["answer"]["kind"], one["answer"]["by"])
                    for one in facts["findings"]
                    if one.get("answer") is not None
                }
                need(len(named) + said["waivedUnlisted"] == answered, "not every answered finding is accounted for")
                need(
                    all(
                        tuple(one[name] for name in ("id", "rule", "severity", "answer", "by")) in told for one in named
                    ),
                    "a finding named as waived that was not answered so",
                )
            bound.add(evidence["facts"])
        if self.carry is not None:
            bound.add(self.check_carried())
        revision = self.bundle["revision"]
        need(bound == set(self.facts), "facts that nobody signed")
        if self.build:
            self.check_build()
        known = {one["name"]: one for one in self.bundle["revision"]["artifacts"]}
        for name, path in self.artifacts.items():
            need(name in known, f"artifact {name!r} is not in the manifest")
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            need(
                (path.stat().st_size, found) == (known[name]["size"], known[name]["sha256"]),
                f"artifact {name!r} is another",
            )
        return f"{len(self.artifacts)} of {len(known)} artifacts compared; the repository is not read here"

    def carried_from(self, person, signed, payload, predicate):
        """The manifest of an earlier revision that a vote was given to, of which nothing differs but the commits."""
        new, named = self.bundle["revision"], sha256(payload)
        said = [] if self.carry is None else self.carry[1]["carried"]
        need(
            any((one["statement"]["sha256"], one["revision"]["sha256"]) == (named, signed) for one in said),
            "signed for another revision",
        )
        need(
            all(one["reviewer"] == person["id"] for one in said if one["statement"]["sha256"] == named),
            "carried over in another's name",
        )
        old = self.earlier.get(signed)
        need(old is not None, "the manifest that was signed is not there")
        same = old["repository"] == new["repository"] and content_of(old) == content_of(new)
        need(same, "carried over from a revision with another content")
        need(predicate.get("expedited") is None, "an expedited vote was carried over")
        return old

    def check_carried(self):
        """All that was carried over counts, but for who voted anew; the new review came to what the old one had."""
        _, said, _ = self.carry
        need(self.carried_to == self.revision, "carried over to another revision")
        content = {name: value for name, value in said["content"].items() if name != "baseContent"}
        need(content == content_of(self.bundle["revision"]), "carried over with another content")
        old = [vote for vote in self.votes if vote[2]["subject"][0]["digest"]["sha256"] != self.revision]
        need(old, "nothing that was carried over is there")
        given = {sha256(vote[3]) for vote in old}
        anew = {fold(vote[0]["id"]) for vote in self.votes if sha256(vote[3]) not in given}
        for one in said["carried"]:
            need(one["statement"]["sha256"] in given or fold(one["reviewer"]) in anew, "a carried vote was left out")
        need(
            set(self.earlier) == {vote[2]["subject"][0]["digest"]["sha256"] for vote in old},
            "the manifest of a revision that no vote comes from",
        )
        listed = {one["name"]: one["digest"]["sha256"] for one in said["evidence"]}
        facts = self.facts.get(listed["facts"])
        need(facts is not None and facts["revision"]["sha256"] == self.revision, "the new facts are not there")
        need(
            all(listed.get(one["name"]) == one["digest"]["sha256"] for one in facts["evidence"]),
            "facts of other evidence",
        )
        for vote in old:
            before = next(one for one in vote[2]["predicate"]["evidence"] if one["name"] == "facts")
            need(
                came_to(self.facts[before["digest"]["sha256"]]) == came_to(facts),
                "the new review came to something else",
            )
        return listed["facts"]

    def check_build(self):
        """The build is of the recipe that everybody signed who approves, brings what it may bring, and is in bounds."""
        terms, revision, anchor, said = self.terms, self.bundle["revision"], self.reviewed, self.lane[3]
        for _, _, statement, _, _ in self.votes:
            predicate = statement["predicate"]
            evidence = {one["name"]: one["digest"]["sha256"] for one in predicate["evidence"]}
            approves = predicate["decision"].startswith("APPROVED")
            need(not approves or evidence.get("recipe") == self.recipe, "an approval that did not sign this recipe")
            need(predicate["change"]["targetRef"] == terms["target_ref"], "signed for another target than the recipe's")
        need(terms["revision"]["sha256"] == sha256(canonical(anchor)), "the recipe of another revision")
        need(terms["repository"] == anchor["repository"] == revision["repository"], "another repository")
        start = (anchor["head"]["commit"], anchor["head"]["tree"])
        need((revision["base"]["commit"], revision["base"]["tree"]) == start, "a build of another base")
        before, after = ({one["name"]: one for one in side["artifacts"]} for side in (anchor, revision))
        allowed = {one["name"] for one in terms["artifacts"]}
        need(before.keys() == after.keys(), "a build with other artifacts")
        need(all(before[name] == after[name] or name in allowed for name in after), "an artifact that may not change")
        need(said["recipe"]["sha256"] == self.recipe, "a build of another recipe")
        need(self.lane[1]["subject"][0]["digest"]["sha256"] == self.revision, "a build of another revision")
        head, change, measures = revision["head"], said["change"], self.build["measures"]
        told = (revision["repository"], revision["base"]["tree"], head["tree"], head["commit"])
        need(
            tuple(change[name] for name in ("repository", "baseTree", "headTree", "headCommit")) == told,
            "the build describes another change than its manifest",
        )
        need(change["targetRef"] == terms["target_ref"], "a build for another target")
        need(measures["revision"]["sha256"] == self.revision, "measures of another revision")
        compared = (measures["base"]["sha256"], measures["head"]["sha256"])
        need(
            compared == (anchor["head"]["content"]["sha256"], head["content"]["sha256"]), "something else was measured"
        )
        named = {name: measures[name]["sha256"] for name in ("audit", "diff", "panel")}
        named["measures"] = sha256(canonical(self.measures))
        if "artifacts" in measures:
            named["artifacts"] = measures["artifacts"]["digest"]["sha256"]
        need(
            {one["name"]: one["digest"]["sha256"] for one in said["evidence"]} == named, "other evidence than measured"
        )
        ratios = [cell["ratio"] for cell in measures["cells"]]
        known = bool(ratios) and None not in ratios
        follows = {
            "verdict": measures["verdict"],
            "cells": len(ratios),
            "lowest": min(ratios) if known else None,
            "highest": max(ratios) if known else None,
            "findings": measures["findings"],
            "severity": measures["severity"],
        }
        need(said["measured"] == follows, "says something else of its measures than follows from them")
        need(said["number"] <= terms["builds"], f"build {said['number']} of {terms['builds']}")
        need(not measures["unsafe"] and measures["analysed"], "measured without a sandbox, or not all of it")
        need(measures["panel"] == terms["panel"] and measures["verdict"] == "pass", "no pass on the recipe's panel")
        need("people" in measures and "artifacts" in measures, "who made it, or what its artifacts hold, is not known")
        need(measures["artifacts"]["verdict"] != "fail", "what changed inside the artifacts failed")
        limit = terms["ratio"]
        need(known and all(one <= limit and one * limit >= 1_000_000 for one in ratios), "beyond the recipe's ratio")
        worst = -1 if measures["severity"] is None else SEVERITIES.index(measures["severity"])
        need(worst <= SEVERITIES.index(terms["severity"]), "a finding above the recipe's severity")
        figures = {one["name"]: one["value"] for one in measures["data"]}
        for bound in terms["data"]["bounds"]:
            value = figures.get(bound["name"])
            need(value is not None and bound["least"] <= value <= bound["most"], f"data beyond {bound['name']!r}")

    def step_6_log(self):
        newest = self.bundle["revocations"]
        logs = {one["origin"]: NoteKey(one["vkey"], {1}) for one in self.roots["logs"]}
        key = logs.get(newest["proof"].origin)
        need(key is not None and key.name == newest["proof"].origin, "a log that is not in the roots file")
        leaf = {"type": "revocations", "digest": "sha256:" + sha256(canonical(newest["envelope"]))}
        size, root = newest["proof"].check(leaf, key)
        self.newest_at = self.witnessed(newest["proof"])
        need(
            self.newest_at is None or self.list["issuedAt"] <= self.newest_at + SKEW,
            "a list dated after its checkpoint",
        )

        self.check_roots_logged(key, size, root)

        def place(entry, leaf):
            old, old_root = entry["proof"].check(leaf, key)
            check_consistency(old, size, old_root, root, entry["consistency"])
            return entry["proof"].index, self.witnessed(entry["proof"])

        logged = {
            (one["leaf"]["type"], one["leaf"]["digest"]): (place(one, one["leaf"]), one["salt"])
            for one in self.bundle["logged"]
        }
        used, self.places, numbers = set(), [], []
        every = [(entry, statement["predicate"], signoff, "signoff") for _, entry, statement, _, signoff in self.votes]
        if self.lane:
            every.append((self.lane[0], self.lane[3], self.build, "build"))
        for entry, predicate, signoff, kind in every:
            index, at = place(signoff, {"type": kind, "envelope": signoff["envelope"]})
            signed = predicate["signedAt"]
            if kind == "build":
                approvals = [vote[2]["predicate"] for vote in self.votes]
                for before, approval in zip(numbers, approvals, strict=True):
                    late = before >= index or approval["signedAt"] > signed + SKEW
                    need(not approval["decision"].startswith("APPROVED") or not late, "a build before its recipe")
                need(newest["proof"].index > index, "a revocation list of before the build")
            if at is not None:
                need(signed <= at + SKEW, "says to have been signed after it was logged")
                need(entry.counts(at), "a key that did not count when it was logged")
            wanted = [
                ("key", "sha256:" + sha256(entry.key.blob)),
                *entries_of(predicate["evidence"], logged, index),
            ]
            for one in wanted:
                need(
                    one in logged and logged[one][0][0] < index, f"{one[0]} {one[1]} was not logged before the sign-off"
                )
                need(
                    logged[one][0][1] is None or logged[one][0][1] <= signed + SKEW,
                    "signed before its evidence was logged",
                )
                used.add(one)
            self.places.append((index, at))
            numbers.append(index)
        if self.lane:
            self.number, self.built_at = self.places.pop()
        self.carry_at = None
        if self.carry is not None:
            used |= self.check_carry_logged(place, logged)
        need(used == set(logged), "something logged that nobody signed")
        seen = "no witness is asked for" if self.newest_at is None else f"witnessed {self.newest_at}"
        return f"{size} entries in {key.name}, {seen}"

    def check_carry_logged(self, place, logged):
        """What was carried over is in the log after the votes that it names, and after the new review's evidence."""
        entry, said, _ = self.carry
        written = self.bundle["carry"]
        index, at = place(written, {"type": "carry", "envelope": written["envelope"]})
        if at is not None:
            need(
                said["carriedAt"] <= at + SKEW and entry.counts(at), "carried over at another time, or by an ended key"
            )
        for vote, (voted, _) in zip(self.votes, self.places, strict=True):
            earlier = vote[2]["subject"][0]["digest"]["sha256"] != self.revision
            need(not earlier or voted < index, "carried over before the vote was logged")
        wanted = entries_of(said["evidence"], logged, index)
        for one in wanted:
            need(one in logged and logged[one][0][0] < index, f"{one[0]} {one[1]} was not logged before the carrying")
        self.carry_at = at
        return set(wanted)

    def witnessed(self, proof):
        return None if self.quorum is None else self.quorum.at(proof.note)

    def step_7_freshness(self):
        if self.policy_text is None:
            return None
        issued, rules = self.list["issuedAt"], self.policy["log"]
        for moment, hours in (
            (self.newest_at or issued, rules["checkpoint_hours"]),
            (issued, rules["revocations_hours"]),
        ):
            need(moment <= self.now + SKEW, "a checkpoint or revocation list from the future")
            need(
                self.now < moment + timedelta(hours=hours),
                f"a checkpoint or revocation list of {moment}, over {hours} h old",
            )
        return f"revocation list {self.list['number']} of {issued}"

    def step_8_time(self):
        for _, _, statement, _, _ in self.votes:
            signed, expires = statement["predicate"]["signedAt"], statement["predicate"]["expiresAt"]
            need(signed <= self.now + SKEW, "signed in the future")
            need(self.now < expires, f"expired at {expires}")
            need(
                self.policy_text is None or self.now < signed + timedelta(days=self.policy["time"]["max_age_days"]),
                "too old for the policy",
            )
            if self.carry is not None and statement["subject"][0]["digest"]["sha256"] != self.revision:
                need(self.carry[1]["carriedAt"] < expires, "carried over after it had expired")
        need(self.carry is None or self.carry[1]["carriedAt"] <= self.now + SKEW, "carried over in the future")
        if self.lane:
            terms, said = self.terms, self.lane[3]
            begins, ends, signed = terms["issued_at"], terms["expires_at"], said["signedAt"]
            need(signed <= self.now + SKEW, "a build from the future")
            need(begins - SKEW <= signed < ends and self.now < ends, f"the recipe counts from {begins} until {ends}")
            since = begins if said["previous"] is None else said["previous"]["signedAt"]
            need(signed <= since + timedelta(hours=terms["interval_hours"]), "the lane lay still for too long")
        return "in time"

    def step_9_revocation(self):
        revoked = {(one["kind"], one["digest"]["sha256"]): one for one in self.list["revoked"]}
        for one in (self.revision, self.signed_for, *self.earlier):
            need(("revision", one) not in revoked, "the revision, or one that votes come from, is revoked")
        signed = [
            (f"of {vote[0]['id']}", vote[1], vote[3], at) for vote, (_, at) in zip(self.votes, self.places, strict=True)
        ]
        if self.carry is not None:
            signed.append(("that carried votes over", self.carry[0], self.carry[2], self.carry_at))
        if self.lane:
            signed.append(("of the build", self.lane[0], self.lane[2], self.built_at))
            stop = revoked.get(("recipe", self.recipe))
            need(stop is None or self.number < stop.get("before", 0), "the recipe is revoked, or its lane had stopped")
        for whose, entry, payload, at in signed:
            need(("statement", sha256(payload)) not in revoked, f"the statement {whose} is revoked")
            lost = revoked.get(("key", sha256(entry.key.blob)))
            need(lost is None or (at is not None and at < lost["since"]), f"the key {whose} is revoked")
        return f"nothing of it is on revocation list {self.list['number']}"

    def step_10_requirements(self):
        """Of all that is asked of a revision, what no policy sets aside: nobody vouches for their own work.

        Who made it is said by the facts that were signed, and of a build by its measures: author, committer,
        co-author and pusher, who launched the training, who supplied artifacts. What the repository says is for the
        gate to read.
        """
        made = [one for facts in self.facts.values() for one in facts["people"]]
        made += self.build["measures"]["people"] if self.build else []
        need(made, "independence: nobody is known to have made it")
        emails = {fold_email(one["email"]) for one in made}
        names = {fold(one["name"]) for one in made if not one["email"]}
        for person, _, statement, _, _ in self.votes:
            if not statement["predicate"]["decision"].startswith("APPROVED"):
                continue
            own = {fold_email(one) for one in person.get("emails", ())}
            called = {fold(person["id"]), *map(fold, person.get("accounts", ()))}
            need(own, f"independence: {person['id']} has no address in the roots")
            need(not own & emails and not called & names, f"independence: {person['id']} approves their own work")
        return f"independence: made by {len(made)} people, none of whom approves it. Judge the rest by the policy"


TIMELY = {2, 7, 8, 10}  # the steps that depend on when one asks; what others refuse was refused then too
HOLDS = {True: "holds, as far as was looked at", False: "does not hold"}
STEPS = (
    "bundle",
    "signatures",
    "people",
    "policy",
    "subject",
    "log",
    "freshness",
    "time",
    "revocation",
    "requirements",
)


def verify(bundle, roots, policy=None, artifacts=None, now=None):
    """All steps: a list of (number, name, ok, detail). ok is None where nothing was there to hold it against."""
    procedure, found = Verification(bundle, roots, policy, artifacts or {}, now or datetime.now(UTC)), []
    for number, name in enumerate(STEPS, 1):
        try:
            detail = getattr(procedure, f"step_{number}_{name}")()
        except Exception as error:  # noqa: BLE001 - nothing that a bundle holds may get past by raising
            found.append((number, name, False, str(error) or type(error).__name__))
            return found
        found.append((number, name, None if detail is None else True, detail or "not looked at: no policy was given"))
    return found


def made_at(bundle, roots):
    """When a bundle was made: when its newest checkpoint was witnessed, or as its list is dated. None if it is none.

    The log is looked at as of the list's date: every limit that ends is behind it.
    """
    try:
        payload = json.loads(bundle)["revocations"]["envelope"]["payload"]
        issued = time(json.loads(base64.b64decode(payload))["predicate"]["issuedAt"], "issuedAt")
    except (KeyError, TypeError, ValueError, RecursionError, Refused):
        return None
    procedure = Verification(bundle, roots, None, {}, issued)
    try:
        for number, name in enumerate(STEPS[:6], 1):
            getattr(procedure, f"step_{number}_{name}")()
    except Exception:  # noqa: BLE001 - what does not hold then is told by `verify` at that time
        return issued
    return max(issued, procedure.newest_at or issued)


def moment(text):
    return text if text == "made" else time(text, "--at")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--roots", type=Path, required=True)
    parser.add_argument("--policy", type=Path)
    parser.add_argument("--artifact", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument(
        "--at", type=moment, help="judge at this time, as 2026-01-31T12:00:00Z, or as of when it was made: made"
    )
    options = parser.parse_args()
    try:
        artifacts = {name: Path(path) for name, _, path in (one.partition("=") for one in options.artifact)}
        policy = None if options.policy is None else options.policy.read_bytes()
        bundle, roots = options.bundle.read_bytes(), options.roots.read_bytes()
        made, now = made_at(bundle, roots), options.at or datetime.now(UTC)
        if now == "made":
            now = made or datetime.now(UTC)
        steps = verify(bundle, roots, policy, artifacts, now)
    except OSError as error:
        print(f"countersign_verify: {error}", file=sys.stderr)
        return 2
    for number, name, ok, detail in steps:
        shown = "".join(letter if letter.isprintable() else "?" for letter in detail)
        print(f"{number:>2}  {({True: 'ok', False: 'REFUSED', None: '-'})[ok]:<7}  {name}: {shown}")
    holds = all(ok is not False for _, _, ok, _ in steps)
    if not holds and steps[-1][0] in TIMELY and made is not None and made < now:
        then = verify(bundle, roots, policy, artifacts, made)
        refused = next((f"refused at step {number}, {name}" for number, name, ok, _ in then if ok is False), None)
        print(f"as of {made:%Y-%m-%dT%H:%M:%SZ}, when it was made: {refused or 'all of it held'}")
    if options.at is not None:
        print(f"judged as of {now:%Y-%m-%dT%H:%M:%SZ}; what was revoked since then is not in it")
    print(HOLDS[holds])
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
