# SPDX-License-Identifier: Apache-2.0
"""The log on disk: laid out as C2SP says, appended to through any kill, refused when damaged."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from evidence import InputError, TooLargeError, VerificationError, parse_json
from signoff import Log, LogKey, LogReader, leaf, leaf_hash, open_checkpoint, verify_consistency, verify_inclusion
from signoff._disk import Disk
from signoff.tiles import pack_entries, tile_path, unpack_entries

KEY = LogKey.generate("log.example/one")


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [f"entry {number}".encode() for number in range(start, start + count)]


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()} - {".lock", ".signed"}


def test_tile_paths_are_the_specifications() -> None:
    assert tile_path(0, 1234067, 256) == "tile/0/x001/x234/067"
    assert tile_path(0, 273, 112) == "tile/0/273.p/112"
    assert tile_path("entries", 0, 1) == "tile/entries/000.p/1"
    assert tile_path(2, 1000, 256) == "tile/2/x001/000"


def test_a_tree_of_256_is_one_full_tile_and_one_of_width_1_above(tmp_path: Path) -> None:
    log = Log(tmp_path, KEY)
    log.append_entries(numbered(256))
    assert files(tmp_path) == {"checkpoint", "tile/0/000", "tile/1/000.p/1", "tile/entries/000"}
    assert (tmp_path / "tile/0/000").stat().st_size == 8192


def test_a_tree_of_70000_has_the_tiles_of_the_specifications_example(tmp_path: Path) -> None:
    log = Log(tmp_path, KEY, disk=HastyDisk())
    log.append_entries(numbered(70_000))
    hashes = {path for path in files(tmp_path) if path.startswith("tile/") and "entries" not in path}
    expected = {f"tile/0/{number:03d}" for number in range(273)} | {
        "tile/0/273.p/112",
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    }
    assert hashes == expected
    assert log.verify().size == 70_000
    head = open_checkpoint(log.checkpoint(), KEY.public)
    for index in (0, 255, 256, 65_535, 65_536, 69_999):
        log.proof(index).verify(leaf_hash(f"entry {index}".encode()), KEY.public)
        path = log.inclusion_proof(index)
        verify_inclusion(leaf_hash(f"entry {index}".encode()), index, 70_000, path, head.root)


def test_one_by_one_and_all_at_once_give_the_same_log(tmp_path: Path) -> None:
    single, batch = Log(tmp_path / "single", KEY, disk=HastyDisk()), Log(tmp_path / "batch", KEY)
    heads = []
    for number, entry in enumerate(numbered(300)):
        assert single.append_entries([entry]) == number
        heads.append(open_checkpoint(single.checkpoint(), KEY.public))
    assert batch.append_entries(numbered(300)) == 0
    assert single.checkpoint() == batch.checkpoint()
    assert list(single.entries()) == list(batch.entries()) == numbered(300)
    assert single.entry(299) == b"entry 299"
    for old in (1, 2, 7, 128, 255, 256, 257, 299):
        for new in (256, 257, 299, 300):
            if old <= new:
                path = single.consistency_proof(old, new)
                verify_consistency(old, new, heads[old - 1].root, heads[new - 1].root, path)
    path = single.inclusion_proof(3, 7)
    verify_inclusion(leaf_hash(b"entry 3"), 3, 7, path, heads[6].root)


def test_partial_tiles_stay_until_the_full_one_is_there(tmp_path: Path) -> None:
    log = Log(tmp_path, KEY)
    log.append_entries(numbered(5))
    log.append_entries(numbered(3, 5))
    assert {"tile/0/000.p/5", "tile/0/000.p/8", "tile/entries/000.p/5"} <= files(tmp_path)
    log.append_entries(numbered(248, 8))
    assert files(tmp_path) == {"checkpoint", "tile/0/000", "tile/1/000.p/1", "tile/entries/000"}


def test_a_leaf_is_the_canonical_json_of_type_and_digest_or_envelope(tmp_path: Path) -> None:
    log = Log(tmp_path, KEY)
    log.append(leaf("panel", digest="sha256:00"))
    log.append(leaf("signoff", envelope={"payload": "", "a": 1}))
    assert log.entry(0) == b'{"digest":"sha256:00","type":"panel"}'
    assert parse_json(log.entry(1), "leaf") == {"type": "signoff", "envelope": {"payload": "", "a": 1}}
    with pytest.raises(InputError, match="either"):
        leaf("both", digest="", envelope={})
    with pytest.raises(TooLargeError, match="65535"):
        log.append(leaf("large", digest="x" * 65_536))
    with pytest.raises(InputError):
        log.append_entries([b"x" * 65_536])
    with pytest.raises(InputError, match="nothing"):
        log.append_entries([])
    assert log.size == 2


def test_a_leaf_is_found_again(tmp_path: Path) -> None:
    log = Log(tmp_path, KEY, disk=HastyDisk())
    log.append_entries(numbered(300))
    assert log.index_of(leaf("panel", digest="sha256:00")) is None
    for _ in range(2):
        log.append(leaf("panel", digest="sha256:00"))
    assert log.index_of(leaf("panel", digest="sha256:00")) == 300
    assert log.index_of(leaf("panel", digest="sha256:00"), 301) == 300  # from the tile of that entry on
    assert log.index_of(leaf("panel", digest="sha256:00"), 512) is None


def test_the_largest_entry_fits(tmp_path: Path) -> None:
    log = Log(tmp_path, KEY)
    log.append_entries([b"x" * 65_535, b""])
    assert [len(entry) for entry in log.entries()] == [65_535, 0]


def test_an_entry_bundle_that_ends_early_is_refused() -> None:
    bundle = pack_entries([b"one", b"two"])
    assert unpack_entries(bundle) == [b"one", b"two"]
    for end in (1, 4, len(bundle) - 1):
        with pytest.raises(VerificationError, match="ends within"):
            unpack_entries(bundle[:end])


def test_two_processes_append_in_turn(tmp_path: Path) -> None:
    Log(tmp_path, KEY)
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_append_some, args=(tmp_path, name)) for name in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    log = LogReader(tmp_path, KEY.public)
    assert log.verify().size == 30
    assert sorted(log.entries()) == sorted(f"{name}{number}".encode() for name in "abc" for number in range(10))


def _append_some(directory: Path, name: str) -> None:
    log = Log(directory, KEY)
    for number in range(10):
        log.append_entries([f"{name}{number}".encode()])


class HastyDisk(Disk):
    """Does not wait for the disk: a killed process loses nothing that the system was given."""

    def sync(self, descriptor: int) -> None:
        pass


class KillingDisk(Disk):
    """Ends the process, as kill -9 does, before operation number ``fatal``, or in the middle of it if it writes."""

    def __init__(self, fatal: int, *, torn: bool = False) -> None:
        self.fatal, self.torn, self.done = fatal, torn, 0

    def _count(self) -> bool:
        self.done += 1
        return self.done - 1 == self.fatal

    def _die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def write(self, descriptor: int, data: bytes) -> None:
        if self._count():
            super().write(descriptor, data[: len(data) // 2] if self.torn else b"")
            self._die()
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:  # noqa: ARG002 - as in Disk
        if self._count():
            self._die()

    def rename(self, source: Path, target: Path) -> None:
        if self._count():
            if self.torn:
                super().rename(source, target)
            self._die()
        super().rename(source, target)

    def make_directory(self, path: Path) -> None:
        if self._count():
            self._die()
        super().make_directory(path)

    def remove(self, path: Path) -> None:
        if self._count():
            self._die()
        super().remove(path)


def in_a_process_of_its_own(work: Any) -> bool:
    """Run ``work`` in a fork. Returns whether it came to its end; False if it was killed."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:  # noqa: BLE001 - a fork of the test runner must not go on as one
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return not os.WIFSIGNALED(status)


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize(("before", "added"), [(0, 1), (1, 1), (255, 1), (256, 1), (250, 10), (255, 300), (65_535, 1)])
def test_a_kill_at_any_operation_leaves_all_or_nothing(tmp_path: Path, before: int, added: int, torn: bool) -> None:  # noqa: FBT001 - a parameter of the test
    start = tmp_path / "start"
    log = Log(start, KEY, disk=HastyDisk())
    if before:
        log.append_entries(numbered(before))
    old = open_checkpoint(log.checkpoint(), KEY.public)
    fatal, finished = 0, False
    while not finished:
        directory = tmp_path / "log"
        shutil.copytree(start, directory, copy_function=os.link)

        def work(directory: Path = directory, fatal: int = fatal) -> None:
            Log(directory, KEY, disk=KillingDisk(fatal, torn=torn)).append_entries(numbered(added, before))

        finished = in_a_process_of_its_own(work)
        survivor = Log(directory, KEY, disk=HastyDisk())
        assert survivor.size in ({before + added} if finished else {before, before + added})
        assert not {path for path in files(directory) if path == ".unfinished"}
        next_index = survivor.append_entries([b"after"])
        assert next_index in {before, before + added}
        head = survivor.verify() if before < 60_000 else open_checkpoint(survivor.checkpoint(), KEY.public)
        assert survivor.entry(next_index) == b"after"
        path = survivor.consistency_proof(old.size)
        verify_consistency(old.size, head.size, old.root, head.root, path)
        shutil.rmtree(directory)
        fatal += 1


def test_what_a_kill_left_beyond_the_checkpoint_is_gone_after_opening(tmp_path: Path) -> None:
    log = Log(tmp_path, KEY)
    log.append_entries(numbered(250))
    note, before = log.checkpoint(), files(tmp_path)
    log.append_entries(numbered(1000, 250))
    (tmp_path / "checkpoint").write_bytes(note)
    (tmp_path / ".signed").write_bytes(note)
    for path in ("tile/0/000.p/250", "tile/entries/000.p/250"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
    fresh = Log(tmp_path / "again", KEY)
    fresh.append_entries(numbered(250))
    for path in ("tile/0/000.p/250", "tile/entries/000.p/250"):
        shutil.copy(tmp_path / "again" / path, tmp_path / path)
    shutil.rmtree(tmp_path / "again")
    Log(tmp_path, KEY)
    assert files(tmp_path) == before


def test_a_log_does_not_go_back_behind_what_it_signed(tmp_path: Path) -> None:
    log = Log(tmp_path, KEY)
    log.append_entries(numbered(3))
    old = log.checkpoint()
    log.append_entries(numbered(2, 3))
    new = log.checkpoint()
    for reopen in (True, False):
        (tmp_path / "checkpoint").write_bytes(old)
        if reopen:
            assert Log(tmp_path, KEY).checkpoint() == new
        else:
            assert log.append_entries([b"entry 5"]) == 5
    assert list(log.entries()) == numbered(6)


def test_a_log_whose_signed_tiles_are_gone_is_refused(tmp_path: Path) -> None:
    log = Log(tmp_path, KEY)
    log.append_entries(numbered(3))
    old = log.checkpoint()
    log.append_entries(numbered(2, 3))
    (tmp_path / "checkpoint").write_bytes(old)
    (tmp_path / "tile/0/000.p/5").unlink()
    with pytest.raises(VerificationError, match="missing"):
        Log(tmp_path, KEY)
    with pytest.raises(VerificationError, match="missing"):
        log.append_entries([b"more"])


def test_a_log_with_two_signed_histories_is_refused(tmp_path: Path) -> None:
    log, other = Log(tmp_path / "log", KEY), Log(tmp_path / "other", KEY)
    log.append_entries(numbered(3))
    other.append_entries(numbered(3, 1))
    (tmp_path / "log" / ".signed").write_bytes(other.checkpoint())
    with pytest.raises(VerificationError, match="restore"):
        Log(tmp_path / "log", KEY)
    with pytest.raises(VerificationError, match="restore"):
        log.append_entries([b"more"])


class RecordingDisk(Disk):
    """Notes what is done to which file."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []

    def sync(self, descriptor: int) -> None:
        self.done.append(("sync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        super().sync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        assert self.done[-1] == ("sync", str(source))
        self.done.append(("rename", str(target)))
        super().rename(source, target)


def test_everything_is_synced_before_the_checkpoint_gets_its_name(tmp_path: Path) -> None:
    disk = RecordingDisk()
    log = Log(tmp_path, KEY, disk=disk)
    disk.done.clear()
    log.append_entries(numbered(300))
    named = [path for what, path in disk.done if what == "rename"]
    assert named[-1] == str(tmp_path / "checkpoint")
    at = disk.done.index(("rename", named[-1]))
    for path in named[:-1]:
        folder = path.rpartition("/")[0]
        assert ("sync", folder) in disk.done[disk.done.index(("rename", path)) : at]
    assert ("sync", str(tmp_path)) in disk.done[at:]


@pytest.mark.parametrize("victim", ["tile/0/001.p/44", "tile/0/000", "tile/1/000.p/1", "tile/entries/001.p/44"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_log_is_refused_never_served(tmp_path: Path, victim: str, damage: str) -> None:
    log = Log(tmp_path, KEY)
    log.append_entries(numbered(300))
    path = tmp_path / victim
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if damage == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    reader = LogReader(tmp_path, KEY.public)
    with pytest.raises(VerificationError):
        reader.verify()
    if victim != "tile/0/000":  # a full tile inside is not on the way of an append; proofs out of it are checked
        with pytest.raises(VerificationError):
            Log(tmp_path, KEY)
        with pytest.raises(VerificationError):
            log.append_entries([b"more"])
    else:
        with pytest.raises(VerificationError):
            reader.proof(255)


def test_entries_and_tiles_rewritten_together_are_refused(tmp_path: Path) -> None:
    Log(tmp_path / "log", KEY).append_entries(numbered(20))
    Log(tmp_path / "other", KEY).append_entries(numbered(20, 1))
    shutil.rmtree(tmp_path / "log" / "tile")
    shutil.copytree(tmp_path / "other" / "tile", tmp_path / "log" / "tile")
    reader = LogReader(tmp_path / "log", KEY.public)
    for ask in (reader.verify, lambda: reader.proof(3), lambda: reader.entry(3), lambda: list(reader.entries())):
        with pytest.raises(VerificationError, match="does not lead to the checkpoint"):
            ask()
    with pytest.raises(VerificationError, match="do not lead"):
        Log(tmp_path / "log", KEY)


def test_a_checkpoint_that_is_missing_or_of_another_key_is_refused(tmp_path: Path) -> None:
    Log(tmp_path, KEY).append_entries(numbered(3))
    with pytest.raises(VerificationError, match="checkpoint"):
        Log(tmp_path, LogKey.generate("log.example/one"))
    (tmp_path / "checkpoint").unlink()
    with pytest.raises(VerificationError, match="without a checkpoint"):
        Log(tmp_path, KEY)
    with pytest.raises(VerificationError, match="no checkpoint"):
        LogReader(tmp_path, KEY.public).checkpoint()


def test_there_is_no_entry_beyond_the_checkpoint(tmp_path: Path) -> None:
    log = Log(tmp_path, KEY)
    assert list(log.entries()) == []
    log.append_entries(numbered(2))
    for ask in (log.entry, log.proof, log.inclusion_proof):
        for index in (-1, 2):
            with pytest.raises(InputError, match="no entry"):
                ask(index)
    for ask in (lambda: log.inclusion_proof(0, 3), lambda: log.consistency_proof(1, 3)):
        with pytest.raises(InputError, match="2 entries"):
            ask()
