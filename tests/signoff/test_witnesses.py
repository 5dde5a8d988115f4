# SPDX-License-Identifier: Apache-2.0
"""Cosignatures, quorums, and witnesses that refuse whatever does not begin with what they have seen."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import ConflictError, InputError, PolicyError, VerificationError
from service.cli.witnesses import WitnessServer
from service.ledger import post_checkpoint
from signoff import (
    ED25519_COSIGNATURE,
    ML_DSA_44_COSIGNATURE,
    Cosigner,
    CosignerKey,
    Log,
    LogKey,
    Witness,
    ask,
    build_request,
    open_checkpoint,
    open_cosignatures,
    parse_quorum,
    parse_request,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOG_KEY = LogKey.generate("log.example/one")
AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KINDS = pytest.mark.parametrize("kind", [ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE])


def log_of(folder: Path, count: int, start: int = 0) -> Log:
    log = Log(folder, LOG_KEY)
    log.append_entries([f"entry {number}".encode() for number in range(start, start + count)])
    return log


def witness_of(folder: Path, cosigner: Cosigner, *, at: datetime = AT) -> Witness:
    return Witness(folder, [cosigner], [LOG_KEY.public], clock=lambda: at)


def asked(witness: Witness, log: Log, cosigner: Cosigner) -> bytes:
    def post(body: bytes) -> tuple[int, bytes]:
        answer = witness.add_checkpoint(body)
        return answer.status, answer.body

    return ask(log.checkpoint(), [cosigner.public], post, log.consistency_proof)


@KINDS
def test_a_witness_cosigns_a_log_that_grows(tmp_path: Path, kind: int) -> None:
    cosigner = Cosigner.generate("witness.example/w1", kind)
    witness = witness_of(tmp_path / "witness", cosigner)
    log = log_of(tmp_path / "log", 3)
    for _ in range(2):
        note = asked(witness, log, cosigner)
        (found,) = open_cosignatures(note, (cosigner.public,))
        assert found.at == AT
        assert open_checkpoint(note, LOG_KEY.public).size == log.size
        assert log.add_cosignatures(note)
        assert log.checkpoint() == note
        log.append_entries([b"more"] * 300)
    assert not log.add_cosignatures(note)
    log.verify()


@KINDS
def test_a_witness_key_reads_back_and_signs_the_same(tmp_path: Path, kind: int) -> None:
    cosigner = Cosigner.generate("witness.example/w1", kind)
    cosigner.save(tmp_path / "key")
    assert Cosigner.load(tmp_path / "key").public == cosigner.public
    assert CosignerKey.from_vkey(cosigner.public.vkey) == cosigner.public
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(InputError, match="open to others"):
        Cosigner.load(tmp_path / "key")


def test_a_log_that_goes_back_is_refused(tmp_path: Path) -> None:
    cosigner = Cosigner.generate("witness.example/w1")
    witness = witness_of(tmp_path / "witness", cosigner)
    asked(witness, log_of(tmp_path / "long", 5), cosigner)
    with pytest.raises(ConflictError, match="went back"):
        asked(witness, log_of(tmp_path / "short", 3), cosigner)


def test_a_split_view_is_refused_by_whoever_saw_the_other_side(tmp_path: Path) -> None:
    cosigner = Cosigner.generate("witness.example/w1")
    witness = witness_of(tmp_path / "witness", cosigner)
    asked(witness, log_of(tmp_path / "one", 5), cosigner)
    for count in (5, 9):
        other = log_of(tmp_path / f"other {count}", count, start=1)
        with pytest.raises(VerificationError, match="refuses with 422"):
            asked(witness, other, cosigner)


def test_every_refusal_has_the_status_of_the_specification(tmp_path: Path) -> None:
    cosigner = Cosigner.generate("witness.example/w1")
    witness = witness_of(tmp_path / "witness", cosigner)
    log = log_of(tmp_path / "log", 5)
    note = log.checkpoint()
    stranger = Log(tmp_path / "stranger", LogKey.generate("other.example/log")).checkpoint()
    forged = Log(tmp_path / "forged", LogKey.generate("log.example/one")).checkpoint()
    assert witness.checkpoint("0" * 64).status == 404
    assert witness.add_checkpoint(build_request(0, (), stranger)).status == 404
    assert witness.add_checkpoint(build_request(0, (), forged)).status == 403
    assert witness.add_checkpoint(build_request(6, (), note)).status == 400
    for body in (b"", b"old 1\n", b"old 01\n\n" + note, b"new 0\n\n" + note, build_request(0, (b"x" * 32,) * 64, note)):
        assert witness.add_checkpoint(body).status == 400
    assert witness.add_checkpoint(build_request(0, (b"x" * 32,), note)).status == 422
    conflict = witness.add_checkpoint(build_request(4, (), note))
    assert (conflict.status, conflict.content_type, conflict.body) == (409, "text/x.tlog.size", b"0\n")
    assert witness.add_checkpoint(build_request(0, (), note)).status == 200
    assert witness.add_checkpoint(build_request(0, (), note)).body == b"5\n"
    assert witness.add_checkpoint(build_request(5, (), note)).status == 200
    log.append_entries([b"more"])
    assert witness.add_checkpoint(build_request(5, (b"x" * 32,), log.checkpoint())).status == 422
    newest = witness.checkpoint(hashlib.sha256(b"log.example/one").hexdigest()).body
    assert open_checkpoint(newest, LOG_KEY.public).size == 5


def test_what_a_witness_cosigned_is_on_disk_before_its_answer(tmp_path: Path) -> None:
    cosigner = Cosigner.generate("witness.example/w1")
    log = log_of(tmp_path / "log", 5)
    asked(witness_of(tmp_path / "witness", cosigner), log, cosigner)
    again = witness_of(tmp_path / "witness", cosigner)
    with pytest.raises(ConflictError, match="went back"):
        asked(again, log_of(tmp_path / "short", 3), cosigner)
    (state,) = (tmp_path / "witness").glob("*.checkpoint")
    state.write_bytes(log_of(tmp_path / "tiny", 1).checkpoint())
    with pytest.raises(VerificationError, match="not cosigned by this witness"):
        asked(again, log, cosigner)


@contextlib.contextmanager
def served(witness: Witness) -> Iterator[str]:
    server = WitnessServer(("127.0.0.1", 0), witness)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.loopback
@pytest.mark.usefixtures("socket_enabled")
def test_a_witness_answers_over_http(tmp_path: Path) -> None:
    cosigner = Cosigner.generate("witness.example/w1")
    log = log_of(tmp_path / "log", 5)
    with served(witness_of(tmp_path / "witness", cosigner)) as url:
        note = ask(log.checkpoint(), [cosigner.public], lambda body: post_checkpoint(url, body), log.consistency_proof)
        assert len(open_cosignatures(note, (cosigner.public,))) == 1
        log.append_entries([b"more"] * 7)
        ask(log.checkpoint(), [cosigner.public], lambda body: post_checkpoint(url, body), log.consistency_proof)
        with httpx2.Client(trust_env=False) as client:
            assert client.post(f"{url}/sign-subtree", content=b"x").status_code == 404
            assert client.get(f"{url}/nothing").status_code == 404
            assert client.post(f"{url}/add-checkpoint", content=b"x" * (129 << 10)).status_code == 413


@KINDS
def test_a_cosignature_says_nothing_of_another_checkpoint_time_or_name(tmp_path: Path, kind: int) -> None:
    cosigner = Cosigner.generate("witness.example/w1", kind)
    note = log_of(tmp_path / "log", 5).checkpoint()
    text = note.decode().partition("\n\n")[0] + "\n"
    line = cosigner.cosign(text, AT)
    material = bytearray(base64.b64decode(line.split(" ")[2]))
    for at in (4, 11, 12, 40, len(material) - 1):
        changed = bytearray(material)
        changed[at] ^= 1
        wrong = f"\u2014 witness.example/w1 {base64.b64encode(changed).decode()}\n"
        with pytest.raises(VerificationError):
            open_cosignatures(note + wrong.encode(), (cosigner.public,))
    other = log_of(tmp_path / "other", 6).checkpoint()
    with pytest.raises(VerificationError, match="not by"):
        open_cosignatures(other + line.encode(), (cosigner.public,))
    with pytest.raises(VerificationError, match="2 cosignatures"):
        open_cosignatures(note + line.encode() * 2, (cosigner.public,))
    timeless = base64.b64encode(bytes(material[:4]) + bytes(8) + bytes(material[12:])).decode()
    zero = f"\u2014 witness.example/w1 {timeless}\n"
    with pytest.raises(VerificationError, match="no time"):
        open_cosignatures(note + zero.encode(), (cosigner.public,))
    renamed = CosignerKey("witness.example/w2", kind, cosigner.public.public)
    assert open_cosignatures(note + line.encode(), (renamed,)) == ()


def policy(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def test_a_quorum_of_groups_is_counted_as_the_specification_says(tmp_path: Path) -> None:
    cosigners = [Cosigner.generate(f"witness.example/{name}") for name in ("x1", "x2", "x3", "y1", "y2")]
    names = ("x1", "x2", "x3", "y1", "y2")
    quorum = parse_quorum(
        policy(
            f"log {LOG_KEY.vkey} https://log.example/",
            "# two operators",
            *(f"\twitness {name} {one.public.vkey}  " for name, one in zip(names, cosigners, strict=True)),
            "group x 2 x1 x2 x3",
            "group y any y1 y2",
            "group both all x y",
            "quorum both",
        )
    )
    note = log_of(tmp_path / "log", 5).checkpoint()
    text = note.decode().partition("\n\n")[0] + "\n"
    lines = [one.cosign(text, AT + timedelta(minutes=at)) for at, one in enumerate(cosigners)]

    def check(*which: int) -> datetime | None:
        return quorum.check(note + "".join(lines[at] for at in which).encode()).at

    assert check(0, 1, 3) == AT + timedelta(minutes=3)
    assert check(2, 1, 0, 3, 4) == AT + timedelta(minutes=3)
    assert check(0, 2, 3) == AT + timedelta(minutes=3)
    for which in ((), (0, 1, 2), (0, 3, 4), (3, 4)):
        with pytest.raises(VerificationError, match="not the quorum"):
            check(*which)
    assert parse_quorum(b"quorum none\n").check(note).at is None


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((), "no quorum"),
        (("quorum none", "quorum none"), "second quorum"),
        (("quorum w",), "no witness or group"),
        (("witness w {a}", "witness v {a}", "quorum w"), "second time"),
        (("witness none {a}", "quorum none"), "taken"),
        (("witness w {a}", "witness w {b}", "quorum w"), "taken"),
        (("witness w {a}", "group g 2 w", "quorum g"), "nothing could meet"),
        (("witness w {a}", "group g 0 w", "quorum g"), "threshold"),
        (("witness w {a}", "group g 01 w", "quorum g"), "threshold"),
        (("witness w {a}", "group g any w", "group h any w", "quorum g"), "second time"),
        (("group g any h", "group h any g", "quorum g"), "no witness or group"),
        (("witness w {a}", "group g any w w", "quorum g"), "second time"),
        (("witness w nonsense", "quorum w"), "verifier key"),
        (("log {log}", "log {log}", "quorum none"), "second time"),
        (("something else",), "neither"),
        (("quorum none\r",), "control character"),
    ],
)
def test_a_quorum_that_means_nothing_is_refused(lines: tuple[str, ...], words: str) -> None:
    a, b = (Cosigner.generate(name).public.vkey for name in ("a", "b"))
    with pytest.raises(PolicyError, match=words):
        parse_quorum(policy(*(line.format(a=a, b=b, log=LOG_KEY.vkey) for line in lines)))


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_policy_a_request_or_refused(data: bytes) -> None:
    for read, error in ((parse_quorum, PolicyError), (parse_request, InputError)):
        with contextlib.suppress(error):
            read(data)


@settings(max_examples=200)
@given(st.lists(st.sampled_from(["log", "witness", "group", "quorum", "none", "any", "1", "w", "g", "#"]), max_size=5))
def test_any_words_are_a_policy_or_refused(words: list[str]) -> None:
    with contextlib.suppress(PolicyError):
        parse_quorum(" ".join(words).encode() + b"\nquorum none\n")
