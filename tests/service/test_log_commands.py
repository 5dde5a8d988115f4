# SPDX-License-Identifier: Apache-2.0
"""``log witness``, ``log revoke`` and ``log revocations`` as somebody at a command line uses them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from command import Said, runner
from house import make_key

from service import ledger, trust
from service.views import Person
from signoff import CosignerKey, Log, LogKey, entry_bytes, evidence_leaf, key_sha256, open_cosignatures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi.testclient import TestClient

WHO = Person("reviewer", "Reviewer", "independent", "reviewer")
NAMES = {"ed25519": [], "ml-dsa-44": ["--ml-dsa-44"]}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    return runner(monkeypatch, capfd, "log")


@pytest.fixture
def log(idle: TestClient) -> Any:
    """The service's log with three entries."""
    log = trust.log(idle.app.state.context)  # type: ignore[attr-defined]
    log.append_entries([entry_bytes(evidence_leaf(f"sha256:{number:064x}")) for number in range(3)])
    return log


@pytest.fixture
def served(tmp_path: Path, run: Callable[..., Said], log: Any) -> Iterator[tuple[str, str]]:
    """A witness of this log in a process of its own: its verifier key and its address."""
    vkey = run("witness", "key", "witness.example/w1", "--out", tmp_path / "w1.key").out.strip()
    program = Path(sys.executable).with_name("countersign")
    command: list[str | Path] = [program, "log", "witness", "serve", "--key", tmp_path / "w1.key"]
    command += ["--log", log.key.vkey, "--state", tmp_path / "state", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        found = re.fullmatch(r"witness of 1 logs at (http://127\.0\.0\.1:\d+)/\n", said)
        assert found is not None, said
        yield vkey, found[1]
        process.terminate()


@pytest.mark.parametrize("kind", NAMES)
def test_a_witness_has_a_key_of_either_kind_for_itself_alone(
    tmp_path: Path, run: Callable[..., Said], kind: str
) -> None:
    made = run("witness", "key", "witness.example/w1", "--out", tmp_path / "w1.key", *NAMES[kind])
    assert made.status == 0, made.err
    assert CosignerKey.from_vkey(made.out.strip()).name == "witness.example/w1"
    assert (tmp_path / "w1.key").stat().st_mode & 0o077 == 0
    for name, out in (("a name", "w2.key"), ("", "w2.key"), ("w", "w1.key")):
        bad = run("witness", "key", name, "--out", tmp_path / out, *NAMES[kind])
        assert (bad.status in {1, 2}, bad.err.count("\n")) == (True, 1), bad.err
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".key"] == ["w1.key"]


@pytest.mark.loopback
@pytest.mark.usefixtures("socket_enabled")
def test_a_witness_is_asked_and_what_it_cosigned_is_written(
    tmp_path: Path, run: Callable[..., Said], idle: TestClient, log: Any, served: tuple[str, str]
) -> None:
    vkey, url = served
    folder = idle.app.state.context.log  # type: ignore[attr-defined]
    asked = ("witness", "ask", "--log", folder, "--log-key", log.key.vkey, "--witness", vkey, "--url", url)
    out = tmp_path / "cosigned"
    assert run(*asked, "--out", out).status == 0
    (found,) = open_cosignatures(out.read_bytes(), (CosignerKey.from_vkey(vkey),))
    assert found.key.name == "witness.example/w1"
    log.append(evidence_leaf(f"sha256:{9:064x}"))  # it has grown: the witness is shown how
    said = run(*asked)
    assert said.status == 0
    assert said.out.splitlines()[1] == "4"
    # A log that shows another history to this witness is refused, with what it saw.
    other = tmp_path / "other"
    subprocess.run(["cp", "-r", folder, other], check=True)
    forked = Log(other, LogKey.load(idle.app.state.context.log_key))  # type: ignore[attr-defined]
    forked.append(evidence_leaf(f"sha256:{7:064x}"))
    log.append(evidence_leaf(f"sha256:{8:064x}"))
    assert run(*asked).status == 0
    refused = run("witness", "ask", "--log", other, *asked[4:])
    assert (refused.status, refused.err.count("\n")) == (1, 1), refused.err


@pytest.mark.loopback
@pytest.mark.usefixtures("socket_enabled")
def test_a_witness_that_cannot_be_asked_is_said_in_one_line(
    tmp_path: Path, run: Callable[..., Said], idle: TestClient, log: Any
) -> None:
    folder = idle.app.state.context.log  # type: ignore[attr-defined]
    vkey = run("witness", "key", "w", "--out", tmp_path / "w.key").out.strip()
    asked = ["witness", "ask", "--log", folder, "--log-key", log.key.vkey, "--witness", vkey]
    for url in ("http://127.0.0.1:1", "ftp://127.0.0.1"):
        bad = run(*asked, "--url", url)
        assert bad.status not in {0, 1}, bad
        assert bad.err.count("\n") == 1
    for changed in (["--witness", "x"], ["--log-key", "x"], ["--log", tmp_path / "nowhere"]):
        bad = run(*asked, *changed, "--url", "http://127.0.0.1:1")
        assert (bad.status in {1, 2}, bad.err.count("\n")) == (True, 1), bad.err


def test_a_key_is_revoked_once_and_the_list_is_logged(
    tmp_path: Path, run: Callable[..., Said], house: Any, idle: TestClient
) -> None:
    context = idle.app.state.context  # type: ignore[attr-defined]
    public = make_key(tmp_path).with_suffix(".pub").read_text(encoding="ascii").strip()
    trust.enrol_key(context, WHO, public)
    sha256 = key_sha256(trust.roots(context).people[0].keys[0].key)
    data = ("--data", house.place / "data")
    before = run("revocations", *data)
    assert (before.status, before.out[:7], ": 0 revoked, entry 1" in before.out) == (0, "list 0 ", True)
    revoked = run("revoke", "key", sha256, "--reason", "Lost on a train.", *data)
    assert (revoked.status, revoked.out) == (0, "revoked; the new list is entry 2 of the log\n")
    (entry,) = ledger.read_revoked(context)
    assert (entry.kind.value, entry.sha256, entry.reason) == ("key", sha256, "Lost on a train.")
    assert [json.loads(one)["type"] for one in trust.log_reader(context).entries()] == [
        "trust",
        "revocations",
        "revocations",
    ]
    assert "list 1 " in run("revocations", *data).out
    again = run("revoke", "key", sha256, "--reason", "Once more.", *data)
    assert (again.status, "is revoked already" in again.err) == (2, True)
    assert len(ledger.read_revoked(context)) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("thing", "0" * 64), "write one of these kinds"),
        (("key", "0" * 63), "64 hexadecimal digits"),
        (("key", "0" * 64, "--since", "yesterday"), "and a time"),
        (("key", "0" * 64, "--data", "nowhere"), "no such folder"),
    ],
)
def test_what_cannot_be_revoked_is_said_in_one_line(
    run: Callable[..., Said], house: Any, idle: TestClient, arguments: tuple[str, ...], words: str
) -> None:
    bad = run("revoke", "--data", house.place / "data", "--reason", "x", *arguments)
    assert (bad.status, bad.err.count("\n")) == (2, 1), bad.err
    assert words in bad.err
    assert ledger.read_revoked(idle.app.state.context) == ()  # type: ignore[attr-defined]
