# SPDX-License-Identifier: Apache-2.0
"""The witness role, c2sp.org/tlog-witness: cosigning checkpoints of logs that only ever grow, and asking for it.

A witness keeps, for each log, the newest checkpoint that it cosigned, and cosigns only what begins with it. It is
written to disk before the answer goes out. A log that shows two histories, or goes back, is refused by every witness
that saw the other one. This module speaks no HTTP: it turns a request's body into an answer.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from evidence import ConflictError, InputError, VerificationError
from signoff._disk import UNFINISHED, Disk
from signoff._strict import decode_base64, encode_base64
from signoff.cosignatures import open_cosignatures
from signoff.merkle import EMPTY_ROOT, HASH_BYTES, verify_consistency
from signoff.notes import Checkpoint, open_checkpoint, split_note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from signoff.cosignatures import Cosigner, CosignerKey
    from signoff.merkle import Hash
    from signoff.notes import NoteKey

REQUEST_LIMIT = 128 << 10
SIZE_TYPE = "text/x.tlog.size"
_TEXT = "text/plain; charset=utf-8"
_MOST_HASHES = 63
_NUMBER = re.compile(rb"old (0|[1-9][0-9]{0,17})")
_OK, _BAD, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _UNPROCESSABLE = 200, 400, 403, 404, 409, 422
_STEP = "witness"


class WitnessAnswer(NamedTuple):
    """An HTTP answer."""

    status: int
    content_type: str
    body: bytes


class Request(NamedTuple):
    """The body of ``add-checkpoint``, taken apart. Nothing in it is verified."""

    old: int
    proof: tuple[Hash, ...]
    note: bytes


def build_request(old: int, proof: Sequence[Hash], note: bytes) -> bytes:
    """The body of ``add-checkpoint``."""
    lines = "".join(f"{encode_base64(sibling)}\n" for sibling in proof)
    return f"old {old}\n{lines}\n".encode() + note


def parse_request(body: bytes) -> Request:
    """Take the body of ``add-checkpoint`` apart.

    Raises:
        InputError: not such a body.
    """
    if len(body) > REQUEST_LIMIT:
        raise InputError(f"{len(body)} bytes, over the limit of {REQUEST_LIMIT}")
    head, blank, note = body.partition(b"\n\n")
    lines = head.split(b"\n")
    number = _NUMBER.fullmatch(lines[0])
    if not blank or number is None:
        raise InputError("no old size line, or no empty line before the checkpoint")
    if len(lines) - 1 > _MOST_HASHES:
        raise InputError(f"more than {_MOST_HASHES} hashes")
    proof = tuple(decode_base64(line.decode("ascii", "replace"), "consistency proof") for line in lines[1:])
    if any(len(sibling) != HASH_BYTES for sibling in proof):
        raise InputError("a hash that is not 32 bytes")
    return Request(int(number[1]), proof, note)


class Witness:
    """A witness for some logs. One directory holds what it has cosigned; one process at a time writes to it."""

    def __init__(
        self,
        directory: Path,
        cosigners: Sequence[Cosigner],
        logs: Sequence[NoteKey],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        disk: Disk | None = None,
    ) -> None:
        if not cosigners or not logs:
            raise InputError("a witness needs a key of its own and the key of a log")
        self.directory = directory
        self._cosigners = tuple(cosigners)
        self._logs = {key.name: key for key in logs}
        self._clock = clock
        self._disk = disk or Disk()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """Answer ``POST <prefix>/add-checkpoint``."""
        try:
            request = parse_request(body)
            origin = request.note.split(b"\n", 1)[0].decode("utf-8")
        except (InputError, UnicodeDecodeError) as error:
            return _said(_BAD, str(error))
        key = self._logs.get(origin)
        if key is None:
            return _said(_NOT_FOUND, "no log of this origin is witnessed here")
        try:
            new = open_checkpoint(request.note, key)
        except VerificationError as error:
            return _said(_FORBIDDEN, str(error))
        if request.old > new.size:
            return _said(_BAD, "the old size is above the checkpoint's")
        with self._locked():
            return self._judge(request, new, key)

    def checkpoint(self, origin_hash: str) -> WitnessAnswer:
        """Answer ``GET <prefix>/<origin hash>/checkpoint``: the newest checkpoint cosigned of a log."""
        for key in self._logs.values():
            if _origin_hash(key.name) == origin_hash:
                note = self._known(key)
                if note is not None:
                    return WitnessAnswer(_OK, _TEXT, note)
        return _said(_NOT_FOUND, "nothing of such a log was cosigned here")

    def _judge(self, request: Request, new: Checkpoint, key: NoteKey) -> WitnessAnswer:
        note = self._known(key)
        known = Checkpoint(key.name, 0, EMPTY_ROOT) if note is None else open_checkpoint(note, key)
        if request.old != known.size:
            return WitnessAnswer(_CONFLICT, SIZE_TYPE, f"{known.size}\n".encode())
        try:
            verify_consistency(known.size, new.size, known.root, new.root, request.proof)
        except VerificationError as error:
            return _said(_UNPROCESSABLE, str(error))
        at = self._clock()
        text, lines = split_note(request.note)
        added = "".join(cosigner.cosign(text, at) for cosigner in self._cosigners)
        own = next(line.text for line in lines if line.name == key.name and _signs(line.text, text, key))
        self._disk.publish(self._path(key), f"{text}\n{own}{added}".encode(), self.directory / UNFINISHED)
        return WitnessAnswer(_OK, _TEXT, added.encode())

    def _known(self, key: NoteKey) -> bytes | None:
        """What was cosigned last. A file that is damaged is an error, never taken for a log that is not known."""
        try:
            note = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        open_checkpoint(note, key)
        if len(open_cosignatures(note, tuple(one.public for one in self._cosigners))) == 0:
            raise VerificationError(_STEP, f"{self._path(key)}: not cosigned by this witness; restore it")
        return note

    def _path(self, key: NoteKey) -> Path:
        return self.directory / f"{_origin_hash(key.name)}.checkpoint"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def ask(
    note: bytes,
    keys: Sequence[CosignerKey],
    post: Callable[[bytes], tuple[int, bytes]],
    prove: Callable[[int], tuple[Hash, ...]],
) -> bytes:
    """Have one witness cosign a checkpoint.

    Args:
        note: the signed checkpoint.
        keys: the witness's keys; lines of other keys in its answer are passed over.
        post: sends a body to the witness's ``add-checkpoint``; returns status and body.
        prove: the consistency proof from an older size to the checkpoint's.

    Returns:
        The checkpoint with the witness's lines, each verified.

    Raises:
        ConflictError: the witness has seen a larger log than this: it went back, or somebody shows another one.
        VerificationError: the witness refuses, or its answer does not hold.
    """
    text, _ = split_note(note)
    size = int(text.split("\n")[1])
    old = 0
    for _ in range(3):  # another client may move the witness on between two calls
        status, body = post(build_request(old, prove(old) if old else (), note))
        if status != _CONFLICT:
            break
        number = body.removesuffix(b"\n")
        if not number.isdigit() or len(number) > 18:  # noqa: PLR2004 - digits of the largest size
            raise VerificationError(_STEP, "the witness answers a conflict without a size")
        old = int(number)
        if old > size:
            raise ConflictError(f"the witness has cosigned {old} entries of this log, which has {size}: it went back")
    if status != _OK:
        words = "".join(letter if letter.isprintable() else "?" for letter in body[:200].decode("utf-8", "replace"))
        raise VerificationError(_STEP, f"the witness refuses with {status}: {words}")
    cosigned = note + body
    found = open_cosignatures(cosigned, tuple(keys))
    if not found:
        raise VerificationError(_STEP, "the witness answers without a cosignature by its key")
    known = {(one.key.name, one.key.key_id) for one in found}
    _, lines = split_note(cosigned)
    return note + "".join(line.text for line in lines if (line.name, line.key_id) in known).encode()


def _signs(line: str, text: str, key: NoteKey) -> bool:
    try:
        open_checkpoint(f"{text}\n{line}".encode(), key)
    except VerificationError:
        return False
    return True


def _origin_hash(origin: str) -> str:
    return hashlib.sha256(origin.encode()).hexdigest()


def _said(status: int, words: str) -> WitnessAnswer:
    return WitnessAnswer(status, _TEXT, f"{words}\n".encode())
