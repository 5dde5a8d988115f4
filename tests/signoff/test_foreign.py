# SPDX-License-Identifier: Apache-2.0
"""Go's packages for notes and logs read what we write, and we read what they write."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evidence import VerificationError
from signoff import Log, LogKey, NoteKey, leaf_hash, open_checkpoint, verify_consistency, verify_inclusion
from signoff._strict import decode_base64, encode_base64
from signoff.notes import open_note

if TYPE_CHECKING:
    from collections.abc import Callable

    from signoff import Checkpoint

SOURCES = Path("/usr/share/gocode")  # Debian's golang-golang-x-mod-dev
ORIGIN = "log.example/one"
SIZES = (1, 2, 255, 256, 257, 1000, 70_000)

pytestmark = pytest.mark.skipif(
    shutil.which("go") is None or not (SOURCES / "src/golang.org/x/mod/sumdb/tlog").is_dir(),
    reason="Go and its packages for logs are not installed: golang-go, golang-golang-x-mod-dev",
)


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The program of ``foreign/log.go``; raises CalledProcessError where it says no."""
    folder = tmp_path_factory.mktemp("go")
    settings = {"GO111MODULE": "off", "GOPATH": str(SOURCES), "GOCACHE": str(folder / "cache"), "GOFLAGS": ""}
    source = Path(__file__).parent / "foreign" / "log.go"
    command = ["go", "build", "-o", str(folder / "log"), str(source)]
    subprocess.run(command, check=True, env={**os.environ, **settings, "CGO_ENABLED": "0"}, cwd=folder)

    def run(*arguments: object, given: str = "") -> str:
        command = [str(folder / "log"), *map(str, arguments)]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout

    return run


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Log, Path, LogKey]]:
    """A log of each size, all with the same entries."""
    key, made = LogKey.generate(ORIGIN), {}
    for size in SIZES:
        folder = tmp_path_factory.mktemp("log")
        log = Log(folder, key)
        log.append_entries([f"entry {number}".encode() for number in range(size)])
        made[size] = (log, folder, key)
    return made


def head(log: Log, key: LogKey) -> Checkpoint:
    return open_checkpoint(log.checkpoint(), key.public)


def texts(path: list[bytes] | tuple[bytes, ...]) -> list[str]:
    return [encode_base64(each) for each in path]


def flipped(text: str) -> str:
    raw = bytearray(decode_base64(text, "hash"))
    raw[0] ^= 1
    return encode_base64(bytes(raw))


@pytest.mark.parametrize("size", SIZES)
def test_go_opens_our_checkpoints_and_proves_entries_from_our_tiles(
    go: Callable[..., str], logs: dict[int, tuple[Log, Path, LogKey]], size: int
) -> None:
    log, folder, key = logs[size]
    checkpoint = head(log, key)
    assert go("open", key.vkey, given=log.checkpoint().decode()) == checkpoint.text
    indices = sorted({0, size // 3, size - 1})
    lines = go("prove", folder, size, encode_base64(checkpoint.root), *indices).split("\n")
    for index, line in zip(indices, lines, strict=False):
        assert line.split() == texts(log.inclusion_proof(index))
    path = [decode_base64(text, "hash") for text in lines[0].split()]
    verify_inclusion(leaf_hash(b"entry 0"), 0, size, path, checkpoint.root)


@pytest.mark.parametrize("size", SIZES)
def test_go_holds_our_proofs_of_entries_and_refuses_them_altered(
    go: Callable[..., str], logs: dict[int, tuple[Log, Path, LogKey]], size: int
) -> None:
    log, _, key = logs[size]
    root = encode_base64(head(log, key).root)
    for index in {0, size // 2, size - 1}:
        entry, path = encode_base64(leaf_hash(f"entry {index}".encode())), texts(log.inclusion_proof(index))
        go("check", size, root, index, entry, *path)
        with pytest.raises(subprocess.CalledProcessError):
            go("check", size, root, index, flipped(entry), *path)
        for place in range(len(path)):
            with pytest.raises(subprocess.CalledProcessError):
                go("check", size, root, index, entry, *path[:place], flipped(path[place]), *path[place + 1 :])


@pytest.mark.parametrize(("old", "new"), [(1, 2), (2, 255), (255, 256), (256, 257), (257, 1000), (1000, 70_000)])
def test_go_and_we_agree_on_how_a_log_grew(
    go: Callable[..., str], logs: dict[int, tuple[Log, Path, LogKey]], old: int, new: int
) -> None:
    log, folder, key = logs[new]
    before, after = head(logs[old][0], key), head(log, key)
    path = log.consistency_proof(old, new)
    roots = new, encode_base64(after.root), old, encode_base64(before.root)
    go("leads", *roots, *texts(path))
    assert go("lead", folder, new, encode_base64(after.root), old).split() == texts(path)
    verify_consistency(old, new, before.root, after.root, path)
    with pytest.raises(subprocess.CalledProcessError):
        go("leads", *roots[:3], flipped(roots[3]), *texts(path))


def test_a_tile_with_one_bit_turned_is_refused_by_go(
    go: Callable[..., str], logs: dict[int, tuple[Log, Path, LogKey]], tmp_path: Path
) -> None:
    log, folder, key = logs[1000]
    shutil.copytree(folder, tmp_path / "log")
    tile = tmp_path / "log" / "tile" / "0" / "003.p" / "232"  # Debian's Go does not look at every tile that it could
    raw = bytearray(tile.read_bytes())
    raw[100] ^= 1
    tile.write_bytes(raw)
    with pytest.raises(subprocess.CalledProcessError):
        go("prove", tmp_path / "log", 1000, encode_base64(head(log, key).root), 300)


def test_keys_and_notes_of_either_are_the_others(go: Callable[..., str], tmp_path: Path) -> None:
    private, public = go("key", "go.example/log").split()
    text = "go.example/log\n1\n" + encode_base64(leaf_hash(b"entry")) + "\n"
    theirs = go("sign", private, given=text)
    assert open_note(theirs.encode(), NoteKey.from_vkey(public)) == text
    with pytest.raises(VerificationError):
        open_note(theirs.replace("\n1\n", "\n2\n").encode(), NoteKey.from_vkey(public))

    (tmp_path / "key").write_text(private + "\n", encoding="ascii")
    (tmp_path / "key").chmod(0o600)
    assert LogKey.load(tmp_path / "key").sign(text).decode() == theirs  # Ed25519 signs alike

    ours = LogKey.generate(ORIGIN)
    assert go("open", ours.vkey, given=ours.sign(text).decode()) == text
    with pytest.raises(subprocess.CalledProcessError):
        go("open", ours.vkey, given=ours.sign(text).decode().replace("\n1\n", "\n2\n"))
