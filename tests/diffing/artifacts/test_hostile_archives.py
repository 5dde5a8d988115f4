# SPDX-License-Identifier: Apache-2.0
"""Archives of which two programs would unpack other files, and pickles that hide in them: one line each."""

from __future__ import annotations

import io
import pickle
import stat
import struct
import tarfile
import warnings
import zipfile
import zlib
from typing import TYPE_CHECKING

import building
import numpy as np
import pytest

from diffing.artifacts.inside.formats import Side, open_side
from diffing.artifacts.inside.words import File

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARRAY = building.npy(np.arange(6, dtype="<f4").reshape(3, 2))
PICKLE = building.trapped("/nowhere")
LONG = b"(lp0\n" + b"".join(b"I%d\na" % number for number in range(3000)) + pickle.dumps(building.Trap("/nowhere"), 0)


def zipped(
    *members: tuple[str | zipfile.ZipInfo, bytes], comment: bytes = b"", unlisted: str = "", method: int = 0
) -> bytes:
    """A ZIP archive of members that may repeat; the directory leaves out the ``unlisted`` one."""
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, data in members:
            archive.writestr(name, data)
        archive.comment = comment
        archive.filelist = [entry for entry in archive.filelist if entry.filename != unlisted]
    return stream.getvalue()


def kind(name: str, mode: int) -> zipfile.ZipInfo:
    """An entry of that kind of file."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (mode | 0o644) << 16
    return entry


def named_twice(name: str, other: str) -> zipfile.ZipInfo:
    """An entry with another name in the field for names in Unicode (APPNOTE.TXT 4.6.9)."""
    entry = zipfile.ZipInfo(name)
    field = b"\1" + struct.pack("<I", zlib.crc32(name.encode())) + other.encode()
    entry.extra = struct.pack("<HH", 0x7075, len(field)) + field
    return entry


def changed(data: bytes, at: int, to: bytes) -> bytes:
    """The same with other bytes there."""
    return data[:at] + to + data[at + len(to) :]


def tarred(*members: tuple[str, bytes], **settings: str) -> bytes:
    """A TAR archive of plain files, with these settings of POSIX.1-2001 for the first."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size, entry.pax_headers = len(data), settings
            archive.addfile(entry, io.BytesIO(data))
            settings = {}
    return stream.getvalue()


ONE = zipped(("w.npy", ARRAY))
TAR = tarred(("w.npy", ARRAY))
BODY = TAR[:1024]  # without the blocks that end it
HIDDEN = tarred(("data.pkl", PICKLE))
AT = 30 + len("w.npy") + len(ARRAY)  # of the directory

REFUSED = {
    "the same name": ("a.zip", zipped(("w.npy", ARRAY), ("w.npy", ARRAY)), "two members are called 'w.npy'"),
    "other case": ("a.zip", zipped(("W.npy", ARRAY), ("w.npy", ARRAY)), "'W.npy' and 'w.npy' have the same name"),
    "other letters": ("a.zip", zipped(("\u00e9.npy", ARRAY), ("e\u0301.npy", ARRAY)), "have the same name"),
    "a step that leads nowhere": ("a.zip", zipped(("w.npy", ARRAY), ("./w.npy", ARRAY)), "two members are called"),
    "two slashes": ("a.zip", zipped(("m/w.npy", ARRAY), ("m//w.npy", ARRAY)), "two members are called 'm/w.npy'"),
    "a backslash": ("a.zip", zipped(("m/w.npy", ARRAY), ("m\\w.npy", ARRAY)), "two members are called 'm/w.npy'"),
    "file and folder": ("a.zip", zipped(("m", b"x"), ("M/w.npy", ARRAY)), "'m' is a file, and a folder for 'M/w"),
    "a name of two": ("a.zip", zipped((named_twice("w.npy", "../x"), ARRAY)), "has another name for some programs"),
    "a zero byte": ("a.zip", zipped(("w.npyXpkl", ARRAY)).replace(b"w.npyX", b"w.npy\0"), "zero byte in its name"),
    "a folder that leads out": ("a.zip", zipped(("../x/", b""), ("w.npy", ARRAY)), "leads out"),
    "a folder with bytes": ("a.zip", zipped(("x/", PICKLE), ("w.npy", ARRAY)), "is a folder that holds"),
    "a pipe": ("a.zip", zipped((kind("w.npy", stat.S_IFIFO), ARRAY)), "a device or another special file"),
    "a link": ("a.zip", zipped((kind("w.npy", stat.S_IFLNK), b"/etc/passwd")), "symbolic link"),
    "not in the directory": (
        "a.zip",
        zipped(("w.npy", ARRAY), ("data.pkl", PICKLE), ("x.npy", ARRAY), unlisted="data.pkl"),
        "behind member 'w.npy' belong to no member that the directory lists",
    ),
    "last and not in the directory": (
        "a.zip", zipped(("w.npy", ARRAY), ("data.pkl", PICKLE), unlisted="data.pkl"), "behind member 'w.npy' belong",
    ),
    "not in an npz's directory": (
        "a.npz", zipped(("w.npy", ARRAY), ("x.npy", ARRAY), unlisted="x.npy"), "belong to no member",
    ),
    "other lengths": ("a.zip", changed(ONE, 18, struct.pack("<2I", 5, 5)), "another one by its own header"),
    "another checksum": ("a.zip", changed(ONE, 14, bytes(4)), "another one by its own header"),
    "another method": ("a.zip", changed(ONE, 8, b"\x08\0"), "another one by its own header"),
    "fewer in the last record": ("a.zip", changed(ONE, len(ONE) - 12, b"\0\0"), "not what the last record"),
    "a later directory": ("a.zip", changed(ONE, len(ONE) - 6, struct.pack("<I", AT - 1)), "does not end where"),
    "bytes behind": ("a.zip", ONE + b"more", "bytes behind the directory"),
    "a second end in the comment": ("a.zip", zipped(("w.npy", ARRAY), comment=b"PK\5\6" + bytes(18)), "bytes before"),
    "only a directory": ("a.zip", b"PK\3\4" + bytes(40), "no directory at its end"),
    "tar: the same name": ("a.tar", tarred(("w.npy", ARRAY), ("w.npy", ARRAY)), "two members are called 'w.npy'"),
    "tar: other case": ("a.tar", tarred(("W.npy", ARRAY), ("w.npy", ARRAY)), "have the same name"),
    "tar: absolute": ("a.tar", tarred(("/w.npy", ARRAY)), "leads out"),
    "tar: behind one block": ("a.tar", BODY + bytes(512) + HIDDEN, "a hidden member, or a broken archive"),
    "tar: behind the end": ("a.tar", TAR + HIDDEN, "a hidden member, or a broken archive"),
    "tar: behind a broken header": ("a.tar", BODY + b"garbage!" * 64 + HIDDEN, "a hidden member, or a broken"),
    "tar: no end": ("a.tar", BODY, "without its end"),
    "tar: cut in its end": ("a.tar", TAR[:-1], "without its end"),
    "tar: cut in a header": ("a.tar", BODY + HIDDEN[:300], "cut off"),
    "tar: cut in a member": ("a.tar", TAR[:600], "cut off"),
    "tar: two lengths": ("a.tar", tarred(("w.npy", ARRAY), ("x.npy", ARRAY), size="2048"), "has two lengths"),
    "tar: too many": (
        "a.tar", tarred(*((f"{number}.npy", b"") for number in range(10_001))), "more than 10,000 members",
    ),
    "zip: too many": (
        "a.zip", zipped(*((f"{number}.npy", b"") for number in range(10_001))), "10,001 members, more than 10,000",
    ),
    "many that swell a little": (
        "a.zip", building.zipped({f"{number}.npy": bytes(1 << 20) for number in range(257)}), "268,435,456 bytes when",
    ),
    "an archive in an archive in an archive": (
        "a.zip", zipped(("b.npz", zipped(("c.npz", zipped(("w.npy", ARRAY)))))), "'c.npz' is no array",
    ),
    "an array that is also an archive": (
        "a.npy", building.npy(np.frombuffer(ONE, "u1")), "also a ZIP archive from its end",
    ),
    "trees that are also an archive": (
        "a.lgb", building.lightgbm(["x"], [([0], [1.0], [0.0, 1.0])]) + ONE, "also a ZIP archive",
    ),
    "a pickle as an array": ("a.zip", zipped(("w.npy", PICKLE)), "no array in NumPy's format"),
    "a pickle in an npz": ("a.npz", zipped(("w.npy", ARRAY), ("data.pkl", PICKLE)), "'data.pkl' is no array"),
    "a pickle as safetensors": ("a.zip", zipped(("m.safetensors", PICKLE)), "a header of"),
}  # fmt: skip

for method, said in (
    (zipfile.ZIP_LZMA, "Corrupt input"),
    (zipfile.ZIP_BZIP2, "Invalid data"),
    (zipfile.ZIP_DEFLATED, "-3"),
):
    packed = zipped(("w.npy", building.npy(np.random.default_rng(1).standard_normal(6000))), method=method)
    REFUSED[f"broken inside: {method}"] = ("a.zip", changed(packed, 80, bytes(200)), said)

PICKLES = {
    "data.pkl": PICKLE,
    "weights.bin": PICKLE,
    "config.json": pickle.dumps(building.Trap("/nowhere"), 0),
    "notes.txt": LONG,
    "README": LONG,
    "inner.txt": zipped(("archive/data.pkl", PICKLE)),
}


def opened(folder: Path, name: str, data: bytes) -> Side:
    (folder / name).write_bytes(data)
    return open_side([File(name, str(folder / name))])


@pytest.mark.parametrize("what", REFUSED)
def test_an_archive_that_is_another_to_another_program_is_refused_with_one_line(what: str, tmp_path: Path) -> None:
    name, data, words = REFUSED[what]
    side = opened(tmp_path, name, data)
    (said,) = side.refused
    assert words in said["reason"]
    assert len(said["reason"].splitlines()) == 1
    assert side.tensors == {}


@pytest.mark.parametrize("name", PICKLES)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_pickle_in_an_archive_is_listed_whatever_it_is_called(
    name: str, pack: Callable[..., bytes], tmp_path: Path
) -> None:
    side = opened(tmp_path, "a.zip" if pack is zipped else "a.tar", pack(("w.npy", ARRAY), (name, PICKLES[name])))
    (found,) = side.unsafe
    assert found["path"].endswith(f"/{name}")
    assert found["imports"] == ["posix.system"]


def test_text_that_begins_as_a_program_is_text(tmp_path: Path) -> None:
    words = b"".join(b"I%d\na" % number for number in range(3000))
    for name, data in (("a.txt", words + b" and so on"), ("b.txt", b"class Model\nin words\n" * 400)):
        side = opened(tmp_path, name, data)
        assert (side.unsafe, side.ignored) == ([], [name])


def test_good_archives_are_read_by_their_plain_paths(tmp_path: Path) -> None:
    good = {
        "dots.tar": tarred(("./m/w.npy", ARRAY), ("./m/x.npy", ARRAY)),
        "dots.zip": zipped(("m//w.npy", ARRAY), ("m\\x.npy", ARRAY), comment=b"of last week"),
        "folders.zip": zipped(("m/", b""), ("m/w.npy", ARRAY), (kind("m/x.npy", stat.S_IFREG), ARRAY)),
        "streamed.zip": streamed(("m/w.npy", ARRAY), ("m/x.npy", ARRAY)),
    }
    for name, data in good.items():
        side = opened(tmp_path, name, data)
        assert side.refused == []
        assert list(side.tensors) == [f"{name}/m/w.npy:array", f"{name}/m/x.npy:array"]
    arrays = opened(tmp_path, "case.npz", building.npz({"W": np.ones(3), "w": np.zeros(3)}))
    assert (list(arrays.tensors), arrays.refused) == (["W", "w"], [])


def streamed(*members: tuple[str, bytes]) -> bytes:
    """An archive written without going back, so that lengths stand behind each member."""
    written: list[bytes] = []

    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            written.append(bytes(data))
            return len(data)

    with zipfile.ZipFile(Pipe(), "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        for name, data in members:
            archive.writestr(name, data)
    return b"".join(written)
