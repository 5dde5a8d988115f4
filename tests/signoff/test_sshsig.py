# SPDX-License-Identifier: Apache-2.0
"""SSH signatures: what stock OpenSSH makes is read, what is read OpenSSH accepts, and nothing else is."""

from __future__ import annotations

import hashlib
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from evidence import InputError, VerificationError
from signoff import PublicKey, allowed_signers, armor, dearmor, pae, read_roots, sign_with_ssh_key
from signoff._wire import wire_string
from signoff.sshsig import parse_sshsig, signed_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

MESSAGE = pae(b'{"a":1}')
ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
APPLICATION = b"ssh:"
PRINCIPAL = "rita%20o%27hara%2C%20%2A"


def keygen(*arguments: str | Path, message: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = ["ssh-keygen", *map(str, arguments)]
    return subprocess.run(command, input=message, capture_output=True, check=False)


def new_key(folder: Path, kind: str, bits: str) -> Path:
    path = folder / f"key-{kind}-{bits}"
    made = keygen("-q", "-t", kind, "-b", bits, "-N", "", "-C", "rita@review.example", "-f", path)
    assert made.returncode == 0, made.stderr
    return path


def openssh_accepts(folder: Path, line: str, text: str, message: bytes) -> bool:
    (folder / "allowed").write_text(f'rita namespaces="countersign" {line}\n', encoding="utf-8")
    (folder / "sig").write_text(text, encoding="utf-8")
    allowed = ("-f", folder / "allowed", "-I", "rita", "-s", folder / "sig")
    return keygen("-Y", "verify", "-n", "countersign", *allowed, message=message).returncode == 0


def name(text: str | bytes) -> bytes:
    return wire_string(text.encode() if isinstance(text, str) else text)


def mpint(number: int) -> bytes:
    return wire_string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


def ed25519_blob() -> bytes:
    return name("ssh-ed25519") + name(ED25519.public_key().public_bytes_raw())


def sshsig(
    key: bytes,
    signature: bytes,
    *,
    magic: bytes = b"SSHSIG",
    version: int = 1,
    namespace: str = "countersign",
    reserved: bytes = b"",
    hash_name: str = "sha512",
) -> bytes:
    head = magic + struct.pack(">I", version) + name(key) + name(namespace) + name(reserved) + name(hash_name)
    return head + name(signature)


def good(message: bytes = MESSAGE) -> bytes:
    return name("ssh-ed25519") + name(ED25519.sign(signed_bytes("sha512", message)))


KINDS = [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("rsa", "2048")]


@pytest.mark.parametrize(("kind", "bits"), KINDS)
@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_what_openssh_signs_verifies_and_openssh_accepts_what_we_keep(
    tmp_path: Path, kind: str, bits: str, hash_name: str
) -> None:
    path = new_key(tmp_path, kind, bits)
    (tmp_path / "statement.pae").write_bytes(MESSAGE)
    arguments = ("-n", "countersign", "-O", f"hashalg={hash_name}", "-f", path, tmp_path / "statement.pae")
    assert keygen("-Y", "sign", *arguments).returncode == 0
    text = (tmp_path / "statement.pae.sig").read_text(encoding="utf-8")
    line = path.with_suffix(".pub").read_text(encoding="utf-8")
    signature = parse_sshsig(dearmor(text))
    signature.verify(MESSAGE)
    assert signature.hash_name == hash_name
    assert signature.key == PublicKey.from_line(line)
    shown = keygen("-l", "-f", path).stdout.decode()
    assert signature.key.fingerprint in shown
    assert armor(dearmor(text)) == text
    assert openssh_accepts(tmp_path, signature.key.line, armor(dearmor(text)), MESSAGE)
    with pytest.raises(VerificationError, match="signature"):
        signature.verify(MESSAGE + b" ")


def test_signing_with_a_key_file_is_what_openssh_does(tmp_path: Path) -> None:
    path = new_key(tmp_path, "ed25519", "256")
    text = sign_with_ssh_key(path, MESSAGE)
    assert openssh_accepts(tmp_path, path.with_suffix(".pub").read_text(encoding="utf-8"), text, MESSAGE)
    with pytest.raises(InputError, match="no such key"):
        sign_with_ssh_key(tmp_path / "absent", MESSAGE)
    (tmp_path / "empty").touch(mode=0o600)
    with pytest.raises(InputError, match="does not sign"):
        sign_with_ssh_key(tmp_path / "empty", MESSAGE)


def sk_ed25519(flags: int, message: bytes, application: bytes = APPLICATION) -> tuple[bytes, bytes]:
    """A hardware key, played by software: PROTOCOL.u2f of OpenSSH."""
    key = name("sk-ssh-ed25519@openssh.com") + name(ED25519.public_key().public_bytes_raw()) + name(application)
    tail = bytes([flags]) + struct.pack(">I", 7)
    hashed = hashlib.sha256(signed_bytes("sha512", message)).digest()
    made = ED25519.sign(hashlib.sha256(application).digest() + tail + hashed)
    return key, name("sk-ssh-ed25519@openssh.com") + name(made) + tail


def sk_ecdsa(flags: int, message: bytes) -> tuple[bytes, bytes]:
    private = ec.derive_private_key(12345, ec.SECP256R1())
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    algorithm = "sk-ecdsa-sha2-nistp256@openssh.com"
    key = name(algorithm) + name("nistp256") + name(point) + name(APPLICATION)
    tail = bytes([flags]) + struct.pack(">I", 7)
    hashed = hashlib.sha256(signed_bytes("sha512", message)).digest()
    made = private.sign(hashlib.sha256(APPLICATION).digest() + tail + hashed, ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(made)
    return key, name(algorithm) + name(mpint(r) + mpint(s)) + tail


@pytest.mark.parametrize("make", [sk_ed25519, sk_ecdsa])
def test_hardware_keys_verify_here_and_in_openssh_if_they_were_touched(tmp_path: Path, make: object) -> None:
    assert callable(make)
    key, signature = make(1, MESSAGE)
    blob = sshsig(key, signature)
    parse_sshsig(blob).verify(MESSAGE)
    assert openssh_accepts(tmp_path, PublicKey.from_blob(key).line, armor(blob), MESSAGE)
    key, untouched = make(0, MESSAGE)
    with pytest.raises(VerificationError, match="touched"):
        parse_sshsig(sshsig(key, untouched)).verify(MESSAGE)
    with pytest.raises(VerificationError):
        parse_sshsig(sshsig(key, signature)).verify(b"another")


@pytest.mark.parametrize(
    "blob",
    [
        sshsig(ed25519_blob(), good(), magic=b"SSHSIX"),
        sshsig(ed25519_blob(), good(), version=2),
        sshsig(ed25519_blob(), good(), version=0),
        sshsig(ed25519_blob(), good(), namespace="file"),
        sshsig(ed25519_blob(), good(), namespace=""),
        sshsig(ed25519_blob(), good(), namespace="countersign\0"),
        sshsig(ed25519_blob(), good(), reserved=b"x"),
        sshsig(ed25519_blob(), good(), hash_name="sha1"),
        sshsig(ed25519_blob(), good(), hash_name="SHA512"),
        sshsig(ed25519_blob() + b"\0", good()),
        sshsig(ed25519_blob()[:-1], good()),
        sshsig(ed25519_blob(), good()) + b"\0",
        sshsig(ed25519_blob(), good())[:-1],
        sshsig(name("ssh-dss") + name(b"x"), good()),
        sshsig(name("ssh-ed25519-cert-v01@openssh.com") + name(b"x"), good()),
        b"",
        b"SSHSIG",
        b"SSHSIG\0\0\0\1\xff\xff\xff\xff",
        b"x" * 100_000,
    ],
)
def test_any_other_form_is_refused(blob: bytes) -> None:
    with pytest.raises(InputError, match=r"SSH signature|public key"):
        parse_sshsig(blob)


@pytest.mark.parametrize(
    "signature",
    [
        good() + b"\0",
        good()[:-1],
        name("ssh-ed25519") + name(b""),
        name("ssh-rsa") + name(bytes(64)),
        name("sk-ssh-ed25519@openssh.com") + name(ED25519.sign(signed_bytes("sha512", MESSAGE))),
        name("rsa-sha2-512") + name(bytes(256)),
        name("ecdsa-sha2-nistp256") + name(mpint(1) + mpint(1)),
        b"",
    ],
)
def test_a_signature_that_is_not_the_keys_is_refused(signature: bytes) -> None:
    with pytest.raises(VerificationError, match="signature"):
        parse_sshsig(sshsig(ed25519_blob(), signature)).verify(MESSAGE)


@given(st.data())
def test_no_byte_of_a_signature_is_without_meaning(data: st.DataObject) -> None:
    blob = sshsig(ed25519_blob(), good())
    at = data.draw(st.integers(0, len(blob) - 1))
    changed = blob[:at] + bytes([blob[at] ^ data.draw(st.integers(1, 255))]) + blob[at + 1 :]
    try:
        signature = parse_sshsig(changed)
        signature.verify(MESSAGE)
    except (InputError, VerificationError):
        return
    assert signature.key.blob != ed25519_blob()


@given(st.binary(max_size=300))
def test_hostile_bytes_are_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(InputError):
        parse_sshsig(b"SSHSIG\0\0\0\1" + data)


RSA = rsa.generate_private_key(65537, 2048)


def rsa_blob(exponent: int = 65537, modulus: int = RSA.public_key().public_numbers().n) -> bytes:
    return name("ssh-rsa") + mpint(exponent) + mpint(modulus)


@pytest.mark.parametrize(
    ("algorithm", "digest", "accepted"),
    [
        ("rsa-sha2-256", hashes.SHA256(), True),
        ("rsa-sha2-512", hashes.SHA512(), True),
        ("ssh-rsa", hashes.SHA1(), False),  # noqa: S303 - that it is refused is what is tested
        ("rsa-sha2-512", hashes.SHA256(), False),
        ("rsa-sha2-1024", hashes.SHA512(), False),
    ],
)
def test_rsa_signs_by_sha2_only(algorithm: str, digest: hashes.HashAlgorithm, accepted: bool) -> None:  # noqa: FBT001 - a parameter of the test
    made = RSA.sign(signed_bytes("sha512", MESSAGE), padding.PKCS1v15(), digest)
    signature = parse_sshsig(sshsig(rsa_blob(), name(algorithm) + name(made)))
    if accepted:
        signature.verify(MESSAGE)
        padded = parse_sshsig(sshsig(rsa_blob(), name(algorithm) + name(b"\0" + made)))
        with pytest.raises(VerificationError):
            padded.verify(MESSAGE)
        return
    with pytest.raises(VerificationError):
        signature.verify(MESSAGE)


@pytest.mark.parametrize(
    "blob",
    [
        rsa_blob(modulus=(1 << 1023) + 1),
        rsa_blob(modulus=(1 << 9000) + 1),
        rsa_blob(exponent=3),
        rsa_blob(exponent=65538),
        name("ssh-rsa") + name(b"\0\1\0\1") + mpint(RSA.public_key().public_numbers().n),
        name("ssh-rsa") + mpint(65537) + name(b"\xff" * 256),
        rsa_blob() + b"\0",
        name("ssh-ed25519") + name(bytes(31)),
        name("ecdsa-sha2-nistp256") + name("nistp384") + name(b"\4" + bytes(64)),
        name("ecdsa-sha2-nistp256") + name("nistp256") + name(b"\4" + bytes(64)),
        name("ecdsa-sha2-nistp256") + name("nistp256") + name(b"\2" + bytes(32)),
        name("ecdsa-sha2-nistp521") + name("nistp521") + name(b"\4" + bytes(132)),
        name("sk-ssh-ed25519@openssh.com") + name(bytes(32)),
        name("\u00e9"),
        b"",
        b"x" * 5000,
    ],
)
def test_weak_and_damaged_keys_are_refused(blob: bytes) -> None:
    with pytest.raises(InputError, match="key"):
        PublicKey.from_blob(blob)


@pytest.mark.parametrize(
    "line",
    ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-ed25519 AAAA", "two\nlines of text"],
)
def test_a_line_that_is_no_key_is_refused(line: str) -> None:
    with pytest.raises(InputError, match="key"):
        PublicKey.from_line(line)


def test_a_key_under_another_types_name_is_refused() -> None:
    line = PublicKey.from_blob(ed25519_blob()).line
    assert PublicKey.from_line(f"{line} rita@review.example").blob == ed25519_blob()
    with pytest.raises(InputError, match="holds 'ssh-ed25519'"):
        PublicKey.from_line(line.replace("ssh-ed25519", "ssh-rsa"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----",
        "-----BEGIN SSH SIGNATURE-----\nA\n-----END SSH SIGNATURE-----",
        "-----BEGIN SSH SIGNATURE-----\nAB==\n-----END SSH SIGNATURE-----",
        "-----BEGIN PGP SIGNATURE-----\nAAAA\n-----END PGP SIGNATURE-----",
        "-----BEGIN SSH SIGNATURE-----\n\u00e9AAA\n-----END SSH SIGNATURE-----",
        "x" * 100_000,
    ],
)
def test_what_is_not_a_sig_file_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="SSH signature"):
        dearmor(text)


def test_a_pasted_sig_file_may_have_other_line_ends() -> None:
    text = armor(sshsig(ed25519_blob(), good()))
    assert dearmor("\n  " + text.replace("\n", "\r\n") + "\n") == dearmor(text)


def test_stock_openssh_verifies_by_the_exported_signers(world: World, tmp_path: Path) -> None:
    """What `allowed_signers` writes is understood by ssh-keygen: the right person, key, namespace and time."""
    key = tmp_path / "key"
    world.keygen(key)
    odd = "rita o'hara, *"
    entry = world.key_entry(key.with_suffix(".pub").read_text(encoding="ascii"))
    world.people[0] |= {"id": odd, "keys": [{**entry, "valid_until": "2026-11-01T00:00:00Z"}]}
    world.write_roots()
    exported = tmp_path / "signers"
    exported.write_text(allowed_signers(read_roots(world.roots)), encoding="ascii")
    message = pae(b"{}")
    signature = tmp_path / "sig"
    signature.write_text(sign_with_ssh_key(key, message), encoding="ascii")

    def accepted(principal: str = PRINCIPAL, when: str = "20260601000000Z", text: bytes = message) -> bool:
        command = ["ssh-keygen", "-Y", "verify", "-n", "countersign", "-I", principal, "-f", exported, "-s", signature]
        done = subprocess.run([*command, "-O", f"verify-time={when}"], input=text, capture_output=True, check=False)
        return done.returncode == 0

    assert accepted()
    assert not accepted(principal="rolf")
    assert not accepted(when="20251231000000Z")
    assert not accepted(when="20261102000000Z")
    assert not accepted(text=b"another")
