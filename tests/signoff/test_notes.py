# SPDX-License-Identifier: Apache-2.0
"""Signed notes, checkpoints and log keys, by the examples of the specifications."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import ConflictError, InputError, VerificationError
from signoff import Checkpoint, LogKey, LogProof, NoteKey, open_checkpoint
from signoff.merkle import EMPTY_ROOT
from signoff.notes import open_note

if TYPE_CHECKING:
    from pathlib import Path

# The example of c2sp.org/signed-note.
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SIGNATURE = "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
NOTE = f"This is an example message.\n\n\u2014 example.com/foo {SIGNATURE}\n".encode()

KEY = LogKey.generate("log.example/one")
OTHER = LogKey.generate("log.example/one")


def checkpoint(text: str | None = None) -> bytes:
    return KEY.sign(text or Checkpoint(KEY.origin, 3, EMPTY_ROOT).text)


def test_the_specifications_example_verifies() -> None:
    key = NoteKey.from_vkey(VKEY)
    assert key.vkey == VKEY
    assert open_note(NOTE, key) == "This is an example message.\n"


@pytest.mark.parametrize(
    "note",
    [
        NOTE.replace(b"message", b"massage"),
        NOTE.replace(b"Uw2QOkn8", b"Uw2QOkn9"),
        NOTE.replace(b"example.com/foo U", b"example.com/fox U"),
        NOTE[:-1],
        NOTE + b"\n",
        NOTE.replace(b"\n\n", b"\n"),
        NOTE.replace(b"This", b"This\x07"),
        NOTE.replace(b"This", b"\xff"),
        NOTE + NOTE[NOTE.index("\u2014".encode()) :],
        b"",
        b"\n\n\n",
        b"x" * 100_000,
    ],
)
def test_any_other_note_is_refused(note: bytes) -> None:
    with pytest.raises(VerificationError, match="checkpoint"):
        open_note(note, NoteKey.from_vkey(VKEY))


def test_signatures_by_others_are_passed_over() -> None:
    note = checkpoint() + OTHER.sign("another\n").split(b"\n\n")[1]
    assert open_checkpoint(note, KEY.public).size == 3


def test_a_key_of_the_same_name_does_not_verify() -> None:
    with pytest.raises(VerificationError, match="0 signatures"):
        open_checkpoint(checkpoint(), OTHER.public)


@pytest.mark.parametrize(
    "text",
    [
        "log.example/two\n3\n" + "A" * 43 + "=\n",
        "log.example/one\n03\n" + "A" * 43 + "=\n",
        "log.example/one\n-3\n" + "A" * 43 + "=\n",
        "log.example/one\n\u0663\n" + "A" * 43 + "=\n",
        "log.example/one\n" + "9" * 30 + "\n" + "A" * 43 + "=\n",
        "log.example/one\n3\nAAAA\n",
        "log.example/one\n3\n" + "A" * 42 + "B=\n",
        "log.example/one\n3\n" + "A" * 43 + "=\nextension\n",
        "log.example/one\n3\n",
    ],
)
def test_a_signed_note_that_is_no_checkpoint_of_this_log_is_refused(text: str) -> None:
    with pytest.raises(VerificationError, match="checkpoint"):
        open_checkpoint(checkpoint(text), KEY.public)


@pytest.mark.parametrize(
    "vkey",
    ["", "a+b", VKEY.replace("530d903a", "530d903b"), VKEY.replace("+Ae", "+Be"), VKEY + "=", "a b" + VKEY, "+" + VKEY],
)
def test_a_damaged_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(InputError, match="key"):
        NoteKey.from_vkey(vkey)


def test_a_log_key_is_kept_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "log"
    KEY.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["log"]
    assert LogKey.load(path).vkey == KEY.vkey
    assert "PRIVATE" not in repr(KEY)
    with pytest.raises(ConflictError, match="never overwritten"):
        OTHER.save(path)
    assert LogKey.load(path).vkey == KEY.vkey
    path.chmod(0o640)
    with pytest.raises(InputError, match="open to others"):
        LogKey.load(path)


def test_a_damaged_log_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log"
    KEY.save(path)
    text = path.read_text(encoding="utf-8")
    for damaged in ("", text.replace("one+", "two+"), text[:-9] + "\n", text.replace("PRIVATE", "PUBLIC"), "\udc80"):
        path.write_text(damaged, encoding="utf-8", errors="surrogateescape")
        with pytest.raises(InputError):
            LogKey.load(path)
    with pytest.raises(InputError, match="cannot be read"):
        LogKey.load(tmp_path / "absent")


@pytest.mark.parametrize("origin", ["", "with space", "with+plus", "line\nbreak", "no\u00a0break"])
def test_a_name_that_cannot_name_a_log_is_refused(origin: str) -> None:
    with pytest.raises(InputError, match="key name"):
        LogKey.generate(origin)


@given(st.text(max_size=400))
def test_only_a_proof_is_read_as_a_proof(text: str) -> None:
    with pytest.raises(InputError, match="log proof"):
        LogProof.parse(text)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("index 1", "index 01"),
        lambda text: text.replace("index 1", "extra AAAA\nindex 1"),
        lambda text: text.replace("index 1", "index -1"),
        lambda text: text.replace("@v1", "@v2"),
        lambda text: text.replace("\nindex", "\r\nindex"),
        lambda text: text.replace("A=\n", "B=\n", 1),
        lambda text: text.replace("AAAA", "", 1),
        lambda text: text.replace("A" * 43 + "=\n", ("A" * 43 + "=\n") * 65, 1),
    ],
)
def test_a_proof_has_one_spelling(change: object) -> None:
    text = LogProof(1, (bytes(32),), checkpoint()).text
    assert LogProof.parse(text).text == text
    assert callable(change)
    with pytest.raises(InputError, match="log proof"):
        LogProof.parse(change(text))
