# SPDX-License-Identifier: Apache-2.0
"""What a system may do to a log and to a witness: refuse any call, write less than asked, end the process."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evidence import VerificationError
from signoff import (
    Cosigner,
    Log,
    LogKey,
    LogReader,
    Witness,
    build_request,
    open_checkpoint,
    open_cosignatures,
    verify_consistency,
)

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = LogKey.generate("log.example/one")
AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Faults:
    """Counts the calls that change a disk, and lets the chosen one fail, before or after it took effect."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fatal, self.after, self.done, self.armed = -1, False, 0, False
        for owner, name in ((os, "write"), (os, "fsync"), (Path, "replace"), (Path, "mkdir"), (Path, "unlink")):
            monkeypatch.setattr(owner, name, self._failing(getattr(owner, name)))

    def arm(self, fatal: int, *, after: bool) -> None:
        self.fatal, self.after, self.done, self.armed = fatal, after, 0, True

    def _failing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def failing(*arguments: Any, **named: Any) -> Any:
            fails = self.armed and self.done == self.fatal
            self.done += self.armed
            if fails and not self.after:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            result = call(*arguments, **named)
            if fails:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return result

        return failing


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("before", "added"), [(0, 1), (3, 2), (255, 2), (256, 1)])
def test_a_call_that_fails_at_any_point_leaves_all_or_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: int,
    added: int,
    after: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    faults = Faults(monkeypatch)
    start = tmp_path / "start"
    first = Log(start, KEY)
    if before:
        first.append_entries([b"old %d" % number for number in range(before)])
    old = open_checkpoint(first.checkpoint(), KEY.public)
    fatal, failed = 0, True
    while failed:
        folder = tmp_path / str(fatal)
        shutil.copytree(start, folder)
        log = Log(folder, KEY)
        faults.arm(fatal, after=after)
        try:
            log.append_entries([b"new %d" % number for number in range(added)])
            failed = False
        except OSError:
            pass
        faults.armed = False
        assert open_checkpoint(LogReader(folder, KEY.public).checkpoint(), KEY.public).size in {before, before + added}
        assert log.append_entries([b"later"]) in {before, before + added}  # the same object goes on
        head = Log(folder, KEY).verify()
        path = log.consistency_proof(old.size)
        verify_consistency(old.size, head.size, old.root, head.root, path)
        shutil.rmtree(folder)
        fatal += 1
    assert fatal > 5


def test_writes_that_take_less_than_they_are_given_are_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:7]))
    log = Log(tmp_path, KEY)
    log.append_entries([b"entry %d" % number for number in range(20)])
    assert Log(tmp_path, KEY).verify().size == 20


@pytest.mark.parametrize("after", [False, True])
def test_cosignatures_are_added_whole_or_not(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    faults = Faults(monkeypatch)
    cosigner = Cosigner.generate("witness.example/w1")
    log = Log(tmp_path, KEY)
    log.append_entries([b"one"])
    plain = log.checkpoint()
    text = plain.decode().partition("\n\n")[0] + "\n"
    cosigned = plain + cosigner.cosign(text, AT).encode()
    fatal, failed = 0, True
    while failed:
        faults.arm(fatal, after=after)
        try:
            assert log.add_cosignatures(cosigned)
            failed = False
        except OSError:
            pass
        faults.armed = False
        assert LogReader(tmp_path, KEY.public).checkpoint() in {plain, cosigned}
        fatal += 1
    assert fatal > 3
    assert log.checkpoint() == cosigned


@pytest.mark.parametrize("after", [False, True])
def test_a_witness_never_answers_for_what_is_not_on_its_disk(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    faults = Faults(monkeypatch)
    cosigner = Cosigner.generate("witness.example/w1")
    log = Log(tmp_path / "log", KEY)
    log.append_entries([b"one"] * 3)
    body = build_request(0, (), log.checkpoint())
    fatal, answered = 0, False
    while not answered:
        folder = tmp_path / f"witness {fatal}"
        witness = Witness(folder, [cosigner], [KEY.public], clock=lambda: AT)
        faults.arm(fatal, after=after)
        with contextlib.suppress(OSError):
            answered = witness.add_checkpoint(body).status == 200
        faults.armed = False
        known = list(folder.glob("*.checkpoint"))
        assert len(known) == 1 or not answered
        for path in known:
            assert len(open_cosignatures(path.read_bytes(), (cosigner.public,))) == 1
        again = Witness(folder, [cosigner], [KEY.public], clock=lambda: AT).add_checkpoint(body)
        assert again.status in {200, 409}
        fatal += 1
    assert fatal > 3


_WRITER = """
import sys
from pathlib import Path
from signoff import Log, LogKey
log = Log(Path(sys.argv[1]), LogKey.load(Path(sys.argv[2])))
print("ready", flush=True)
while True:
    log.append_entries([b"entry"] * 40)
    print(log.size, flush=True)
"""


def test_a_writer_killed_from_outside_has_kept_what_it_said(tmp_path: Path) -> None:
    """``kill -9`` at moments of no choosing, over and over: whatever was acknowledged is there."""
    KEY.save(tmp_path / "key")
    said = 0
    for number in range(8):
        command = [sys.executable, "-c", _WRITER, str(tmp_path / "log"), str(tmp_path / "key")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(2 + number % 3):
                line = writer.stdout.readline().strip()
                said = int(line) if line.isdigit() else said
            writer.send_signal(signal.SIGKILL)
            rest = [line for line in writer.stdout.read().split("\n") if line.isdigit()]
            said = int(rest[-1]) if rest else said
        assert writer.returncode == -signal.SIGKILL
        size = Log(tmp_path / "log", KEY).verify().size
        assert said <= size <= said + 40
        assert size % 40 == 0
        said = size


@pytest.mark.parametrize("cut", [1, 31, 32, 100])
def test_a_torn_tail_is_refused_by_who_only_reads(tmp_path: Path, cut: int) -> None:
    log = Log(tmp_path, KEY)
    log.append_entries([b"entry %d" % number for number in range(10)])
    tile = tmp_path / "tile" / "0" / "000.p" / "10"
    tile.write_bytes(tile.read_bytes()[:-cut])
    for ask in (lambda: LogReader(tmp_path, KEY.public).proof(3), lambda: LogReader(tmp_path, KEY.public).verify()):
        with pytest.raises(VerificationError):
            ask()
    with pytest.raises(VerificationError):
        Log(tmp_path, KEY)
