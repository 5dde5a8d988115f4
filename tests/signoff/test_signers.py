# SPDX-License-Identifier: Apache-2.0
"""Keys that are elsewhere sign by securesystemslib's URIs, and securesystemslib verifies the envelopes."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters
from securesystemslib.dsse import Envelope as DsseEnvelope
from securesystemslib.signer import SSlibKey

from evidence import InputError, SandboxMissingError, VerificationError
from signoff import Envelope, PublicKey, envelope_from_raw, pae, sign_with_signer, verify_envelope

if TYPE_CHECKING:
    from collections.abc import Iterator

PIN = "1234"
SOFTHSM = tuple(Path(f"/usr/lib/{where}softhsm/libsofthsm2.so") for where in ("", "x86_64-linux-gnu/"))

KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
}


def laid(folder: Path, private: Any) -> tuple[str, PublicKey]:
    path = folder / "key.pem"
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return f"file2:{path}", PublicKey.from_line(line)


@pytest.mark.parametrize("kind", KEYS)
def test_a_signers_signature_is_taken_here_and_by_securesystemslib(tmp_path: Path, kind: str) -> None:
    private = KEYS[kind]()
    uri, key = laid(tmp_path, private)
    envelope = envelope_from_raw(b"{}", sign_with_signer(uri, key, pae(b"{}")), key)
    assert Envelope.from_json(envelope.to_json()) == envelope
    assert verify_envelope(envelope, [key]) == key
    document = envelope.to_json()
    del document["signatures"][0]["kind"]
    theirs = SSlibKey.from_crypto(private.public_key(), keyid=envelope.keyid)
    assert list(DsseEnvelope.from_dict(document).verify([theirs], 1)) == [envelope.keyid]
    with pytest.raises(VerificationError):
        verify_envelope(replace(envelope, payload=b"[]"), [key])
    with pytest.raises(VerificationError):
        verify_envelope(replace(envelope, signature=envelope.signature + b"\0"), [key])


def test_a_signature_counts_as_its_own_kind_only(tmp_path: Path) -> None:
    uri, key = laid(tmp_path, KEYS["p256"]())
    envelope = envelope_from_raw(b"{}", sign_with_signer(uri, key, pae(b"{}")), key)
    for kind in type(envelope.kind):
        if kind is not envelope.kind:
            with pytest.raises(VerificationError):
                verify_envelope(replace(envelope, kind=kind), [key])


def test_what_cannot_sign_says_so(tmp_path: Path) -> None:
    uri, key = laid(tmp_path, KEYS["p256"]())
    _, other = laid(tmp_path, KEYS["ed25519"]())
    weak = PublicKey.from_line(
        rsa.generate_private_key(65537, 2048).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    )
    for wrong, public in (("nonsense:1", key), ("/key.pem", key), ("file2:/no/such", key), (uri, key), (uri, weak)):
        with pytest.raises(InputError):
            sign_with_signer(wrong, public, b"")
    assert len(sign_with_signer(uri, other, b"")) == 64
    with pytest.raises(SandboxMissingError, match="kms"):
        sign_with_signer("awskms:alias/reviewer", key, b"")


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """SoftHSM with a token "reviewer" that its PIN opens: the library that speaks PKCS#11 for it."""
    library = next((path for path in SOFTHSM if path.is_file()), None)
    if library is None or shutil.which("softhsm2-util") is None:
        if os.environ.get("CI"):
            pytest.fail("there is no SoftHSM here: requirements/setup dev installs it")
        pytest.skip("there is no SoftHSM here: requirements/setup dev installs it")
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n", encoding="ascii")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SOFTHSM2_CONF", str(settings))
        patched.setenv("PYKCS11LIB", str(library))
        command = ["softhsm2-util", "--init-token", "--free", "--label", "reviewer", "--so-pin", PIN, "--pin", PIN]
        subprocess.run(command, check=True, capture_output=True)
        yield library


@pytest.mark.parametrize(("number", "curve"), [(2, "secp256r1"), (3, "secp384r1")])
def test_a_key_that_never_leaves_its_token_signs(token: Path, number: int, curve: str) -> None:
    """By securesystemslib's own way to PKCS#11; the key is made in the token, and only its public half comes out."""
    opened = pkcs11.lib(str(token)).get_token(token_label="reviewer")
    with opened.open(rw=True, user_pin=PIN) as session:
        parameters = session.create_domain_parameters(
            pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}, local=True
        )
        made, private = parameters.generate_keypair(store=True, label=curve, id=bytes([number]))
        assert private[pkcs11.Attribute.EXTRACTABLE] is False
        public = load_der_public_key(encode_ec_public_key(made))
    line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    key, asked = PublicKey.from_line(line), []

    def pin(what: str) -> str:
        asked.append(what)
        return PIN

    signature = sign_with_signer(f"hsm:{number}?label=reviewer", key, pae(b"{}"), pin)
    envelope = envelope_from_raw(b"{}", signature, key)
    assert (verify_envelope(envelope, [key]), asked) == (key, ["pin"])
    with pytest.raises(VerificationError):
        verify_envelope(replace(envelope, payload=b"[]"), [key])
    for uri, wrong in ((f"hsm:{number}?label=another", PIN), ("hsm:9?label=reviewer", PIN), (f"hsm:{number}", "0000")):
        with pytest.raises(InputError, match="does not sign"):
            sign_with_signer(uri, key, pae(b"{}"), lambda _, said=wrong: said)
