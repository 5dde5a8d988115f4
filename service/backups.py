# SPDX-License-Identifier: Apache-2.0
"""Backups of a data folder and its database, made while the service runs, and restored only if the log proves them.

A backup is a tar file: ``database.jsonl``, the files of the data folder that cannot be made again, and at the end
``backup.dsse.json``, which names every member with its SHA-256, sealed by the service's key. The private keys are not
in it: who has a backup must not be able to sign with it. They are kept apart, and a restore is given them.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, NamedTuple

from evidence import ConflictError, InputError, VerificationError, canonical, parse_json, sha256_hex
from service import reckoning, rows, trust
from service.arrivals import now
from service.context import Context, open_database
from service.store import EvidenceStore
from signoff import Envelope, LogKey, LogProof, LogReader, MachineKey, format_time, leaf_hash, verify_envelope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from evidence import Json
    from service.database import Database
    from service.settings import Settings

SCHEMA = "countersign/backup/v1"
MANIFEST = "backup.dsse.json"
DATABASE = "database.jsonl"
_SEAL_LIMIT = 1 << 30
_CHUNK = 1 << 20
_STEP = "backup"
# What can be made again, or is of the machine and not of the reviews, stays out; private keys are kept apart.
_LEFT_OUT = frozenset({"mirrors", "slates", "work", "workers", "keys"})
_DATABASES = ("countersign.sqlite", "dbos.sqlite")
_KEYS = ("log.key", "service.pem")


class Kept(NamedTuple):
    """What a backup holds, or a restore has put back and proven."""

    files: int
    rows: int
    entries: int
    signoffs: int
    checkpoint: str


@dataclass(slots=True)
class _Sealed:
    """Writes members and remembers what they were."""

    tar: tarfile.TarFile
    members: dict[str, dict[str, object]]

    def add(self, name: str, file: IO[bytes]) -> None:
        file.seek(0, os.SEEK_END)
        info = tarfile.TarInfo(name)
        info.size, info.mode = file.tell(), 0o600
        file.seek(0)
        reading = _Hashing(file)
        self.tar.addfile(info, reading)
        self.members[name] = {"sha256": reading.sha256.hexdigest(), "size": info.size}


class _Hashing(io.RawIOBase):
    """Reads through to another file and hashes what goes by."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.sha256.update(data)
        return data


def backup(context: Context, out: Path) -> Kept:
    """Write a backup to ``out``, whole or not at all. The service may run; signing waits while rows and log are read.

    Raises:
        ConflictError: there is something at ``out``.
        VerificationError: the log or a piece of evidence is damaged: that is no state to keep.
    """
    if out.exists():
        raise ConflictError(f"{out}: is there already; a backup overwrites nothing")
    handle, name = tempfile.mkstemp(prefix=f".{out.name}-", dir=out.absolute().parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            kept = _write(context, file)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(out)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return kept


def _write(context: Context, file: IO[bytes]) -> Kept:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        sealed = _Sealed(tar, {})
        with reckoning.held(context):
            signoffs = reckoning.compare(context)
            with tempfile.TemporaryFile(dir=context.work) as lines:
                count = sum(1 for line in rows.dump(context.database) if lines.write(line))
                sealed.add(DATABASE, lines)
            for path in _files(context.log):
                _add(sealed, context, path)
            note, head = trust.log_reader(context).head()
        # Evidence is there before a row or an entry names it, and is never changed: it may be read afterwards.
        for path in _files(context.settings.data):
            if path.relative_to(context.settings.data).parts[0] != "log":
                _add(sealed, context, path)
        manifest = {
            "schema": SCHEMA,
            "madeAt": format_time(now()),
            "checkpoint": note.decode(),
            "signoffs": signoffs,
            "rows": count,
            "files": sealed.members,
        }
        seal = canonical(trust.service_key(context).sign(canonical(manifest)).to_json())
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode = len(seal), 0o600
        tar.addfile(info, io.BytesIO(seal))
    return Kept(len(sealed.members), count, head.size, signoffs, note.decode())


def _add(sealed: _Sealed, context: Context, path: Path) -> None:
    relative = path.relative_to(context.settings.data).as_posix()
    with path.open("rb") as file:
        sealed.add(relative, file)
    parts = PurePosixPath(relative).parts
    if parts[0] == "evidence" and sealed.members[relative]["sha256"] != parts[-1]:
        raise VerificationError(
            _STEP, f"evidence {parts[-1]} is damaged on disk; put it back from an older backup first"
        )


def _files(folder: Path) -> Iterator[Path]:
    """Regular files that are kept, in order; nothing is followed out of the folder."""
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or path.name.startswith((".new-", ".tmp")):
            continue
        if path.is_dir():
            if path.name not in _LEFT_OUT:
                yield from _files(path)
        elif path.is_file() and not path.name.endswith(".lock") and not path.name.startswith(_DATABASES):
            yield path


def restore(settings: Settings, archive: Path, keys: Path) -> Kept:
    """Put a backup into a data folder that is not there yet, and into an empty database, if the log proves it.

    In order: the seal, every member by its SHA-256, the log entry by entry, the proofs, the evidence by its names, the
    database against the log. Only then is the folder there.

    Args:
        settings: where the data folder goes, and the database's URL if it is not to be in it.
        archive: what `backup` wrote.
        keys: a folder with ``log.key`` and ``service.pem``, kept apart from the backup.

    Raises:
        ConflictError: the data folder is there already.
        InputError: not a backup, or keys that cannot be used.
        VerificationError: something in it is not what it was; nothing is left behind.
    """
    data = settings.data
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise ConflictError(f"{data}: is there already; restore into a folder that is not, and move it then")
    data.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{data.name}-", dir=data.parent))
    try:
        kept = _restore(settings.model_copy(update={"data_dir": partial}), archive, keys)
        if data.exists():
            data.rmdir()
        partial.rename(data)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return kept


def open_kept(settings: Settings) -> Context:
    """The data folder of a service that may be running: nothing in it is made or migrated.

    Raises:
        InputError: there is none.
        ConflictError: its database has another shape than this version's.
    """
    if not (settings.data / "log").is_dir():
        raise InputError(f"{settings.data}: no data folder of a service")
    context = _context(settings)
    if not context.database.current():
        context.close()
        raise ConflictError(f"{settings.data}: its database is of another version; start that version's service first")
    return context


def _context(settings: Settings) -> Context:
    return Context(settings, (), open_database(settings), EvidenceStore(settings.data / "evidence"))


def _restore(settings: Settings, archive: Path, keys: Path) -> Kept:
    data = settings.data
    (data / "keys").mkdir(mode=0o700)
    for name in _KEYS:
        shutil.copyfile(keys / name, data / "keys" / name)
        (data / "keys" / name).chmod(0o600)
    try:
        with tarfile.open(archive, mode="r:") as tar:
            manifest = _manifest(tar, archive, data)
            _unpack(tar, data, manifest["files"])
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"{archive}: not a backup, or not a whole one: {error}") from error
    log = LogReader(data / "log", LogKey.load(data / "keys" / "log.key").public)
    note, head = log.head()
    if note.decode() != manifest["checkpoint"]:
        raise VerificationError(_STEP, f"{archive}: its log is not the one that was sealed")
    _check_proofs(data / "proofs", log)
    proven = _context(settings.model_copy(update={"database_url": None}))
    try:
        count = _load(proven.database, data)
        signoffs = reckoning.compare(proven)
    finally:
        proven.close()
    if settings.database_url is not None:  # what was proven in SQLite goes where it is wanted, whole or not at all
        for path in data.glob("countersign.sqlite*"):
            path.unlink()
        database = open_database(settings)
        try:
            _load(database, data)
        finally:
            database.close()
    (data / DATABASE).unlink()
    return Kept(len(manifest["files"]), count, head.size, signoffs, note.decode())


def _load(database: Database, data: Path) -> int:
    database.migrate()
    with (data / DATABASE).open("rb") as lines:
        return rows.load(database, lines)


def _manifest(tar: tarfile.TarFile, archive: Path, data: Path) -> Json:
    """What was sealed. The seal is the service key's, or there is none."""
    try:
        file = tar.extractfile(MANIFEST)
    except KeyError as error:
        raise InputError(f"{archive}: not a backup, or not a whole one: no {MANIFEST} in it") from error
    if file is None:
        raise InputError(f"{archive}: its {MANIFEST} is no file")
    envelope = Envelope.read(file.read(_SEAL_LIMIT), limit=_SEAL_LIMIT)
    verify_envelope(envelope, [MachineKey.load(data / "keys" / "service.pem").public])
    manifest = parse_json(envelope.payload, MANIFEST, limit=_SEAL_LIMIT)
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise InputError(f"{archive}: not a backup that this version knows; it has to say {SCHEMA}")
    return manifest


def _unpack(tar: tarfile.TarFile, data: Path, files: Mapping[str, Json]) -> None:
    """Write every member that the seal names, and nothing else."""
    missing = set(files)
    for member in tar:
        if member.name == MANIFEST:
            continue
        parts = PurePosixPath(member.name).parts
        if member.name not in missing or not member.isreg() or ".." in parts or member.name.startswith("/"):
            raise VerificationError(_STEP, f"{member.name[:200]!r} is not among what was sealed")
        if parts[0] in _LEFT_OUT:
            raise VerificationError(_STEP, f"{member.name[:200]!r} is nothing that a backup holds")
        missing.discard(member.name)
        into = data / member.name
        into.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = tar.extractfile(member)
        sha256, size = hashlib.sha256(), 0
        with into.open("xb") as file:
            while content is not None and (chunk := content.read(_CHUNK)):
                sha256.update(chunk)
                size += file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        into.chmod(0o600)
        sealed = files[member.name]
        named = parts[-1] if parts[0] == "evidence" else sealed["sha256"]
        if (sha256.hexdigest(), sha256.hexdigest(), size) != (sealed["sha256"], named, sealed["size"]):
            raise VerificationError(_STEP, f"{member.name[:200]}: its content is not what was sealed")
    if missing:
        raise VerificationError(_STEP, f"{min(missing)[:200]} is missing, with {len(missing) - 1} others")


def _check_proofs(folder: Path, log: LogReader) -> None:
    """Every entry against the checkpoint, and every kept proof against the entry that it speaks of."""
    leaves = [leaf_hash(entry) for entry in log.entries()]
    for path in sorted(folder.glob("*.tlog-proof")) if folder.is_dir() else ():
        proof = LogProof.parse(path.read_text(encoding="utf-8"))
        if proof.index >= len(leaves) or sha256_hex(leaves[proof.index]) != path.name.removesuffix(".tlog-proof"):
            raise VerificationError(_STEP, f"{path.name}: a proof of something that is not in the log")
        proof.verify(leaves[proof.index], log.key)
