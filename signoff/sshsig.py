# SPDX-License-Identifier: Apache-2.0
"""SSH signatures of files: OpenSSH's PROTOCOL.sshsig, in the namespace ``countersign``.

A reviewer who trusts nothing of ours signs with the stock tool: ``ssh-keygen -Y sign -n countersign -f KEY FILE``.
"""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evidence import InputError, SandboxMissingError, VerificationError
from signoff._strict import decode_base64, encode_base64
from signoff._wire import WireReader, wire_string
from signoff.keys import PublicKey

if TYPE_CHECKING:
    from pathlib import Path

NAMESPACE = "countersign"

_MAGIC = b"SSHSIG"
_VERSION = 1
_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_ARMOR_WIDTH = 70
_LIMIT = 16 << 10
_HASHES = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
_SIGN_SECONDS = 120  # a hardware key waits for a touch


@dataclass(frozen=True, slots=True)
class SshSignature:
    """A parsed SSHSIG. ``key`` is the key it claims: nobody vouches for it until a trusted one has the same bytes."""

    key: PublicKey
    hash_name: str
    signature: bytes

    def verify(self, message: bytes) -> None:
        """Check the signature over ``message`` by the key inside it.

        What is *not* checked: whose key it is. Compare ``key`` with the roots.

        Raises:
            VerificationError: it does not hold.
        """
        self.key.verify_ssh(self.signature, signed_bytes(self.hash_name, message))


def signed_bytes(hash_name: str, message: bytes) -> bytes:
    """What an SSHSIG signs: magic, namespace, reserved, hash name and the message's hash."""
    hashed = _HASHES[hash_name](message).digest()
    fields = (NAMESPACE.encode(), b"", hash_name.encode(), hashed)
    return _MAGIC + b"".join(wire_string(field) for field in fields)


def parse_sshsig(blob: bytes) -> SshSignature:
    """Read the binary form.

    Raises:
        InputError: damaged, bytes left over, another version, namespace or hash, or a reserved field in use.
    """
    if len(blob) > _LIMIT:
        raise InputError(f"SSH signature: {len(blob)} bytes, over the limit of {_LIMIT}")
    reader = WireReader(blob, "SSH signature")
    if reader.take(len(_MAGIC)) != _MAGIC:
        raise InputError("SSH signature: does not start with SSHSIG")
    if reader.uint32() != _VERSION:
        raise InputError("SSH signature: not version 1")
    key = PublicKey.from_blob(reader.string(), "SSH signature")
    namespace = reader.string()
    if namespace != NAMESPACE.encode():
        raise InputError(f"SSH signature: made for another purpose; sign with -n {NAMESPACE}")
    if reader.string():
        raise InputError("SSH signature: the reserved field is in use")
    hash_name = reader.name()
    if hash_name not in _HASHES:
        raise InputError(f"SSH signature: hash {hash_name[:20]!r} is not sha256 or sha512")
    signature = reader.string()
    reader.end()
    return SshSignature(key, hash_name, signature)


def dearmor(text: str) -> bytes:
    """The binary form of what ``ssh-keygen -Y sign`` writes. Line ends and outer white space may differ.

    Raises:
        InputError: not an armoured SSH signature.
    """
    if len(text) > 2 * _LIMIT:
        raise InputError(f"SSH signature: {len(text)} characters, over the limit of {2 * _LIMIT}")
    lines = [line.strip() for line in text.strip().splitlines()]
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:  # noqa: PLR2004 - two marks and something between
        raise InputError(f"SSH signature: not between {_BEGIN!r} and {_END!r}; paste the whole .sig file")
    return decode_base64("".join(lines[1:-1]), "SSH signature")


def armor(blob: bytes) -> str:
    """The text form, as ``ssh-keygen`` writes it."""
    text = encode_base64(blob)
    lines = [text[at : at + _ARMOR_WIDTH] for at in range(0, len(text), _ARMOR_WIDTH)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def sign_with_ssh_key(key: Path, message: bytes) -> str:
    """Sign ``message`` with an OpenSSH private key (file, agent or hardware) by the stock ``ssh-keygen``.

    Returns:
        The armoured signature.

    Raises:
        InputError: the key cannot be used.
        SandboxMissingError: ``ssh-keygen`` is not installed.
        VerificationError: what came back does not verify.
    """
    if not key.is_file():
        raise InputError(f"{key}: no such key file")
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key.resolve())]
    try:
        done = subprocess.run(command, input=message, capture_output=True, timeout=_SIGN_SECONDS, check=False)
    except FileNotFoundError as error:
        raise SandboxMissingError("ssh-keygen is not installed; install the package openssh-client") from error
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{key}: ssh-keygen did not sign within {_SIGN_SECONDS} s") from error
    if done.returncode:
        raise InputError(f"{key}: ssh-keygen does not sign: {done.stderr.decode(errors='replace')[:300]}")
    text = done.stdout.decode("ascii", errors="replace")
    try:
        parse_sshsig(dearmor(text)).verify(message)
    except InputError as error:
        raise VerificationError("signature", str(error)) from error
    return text
