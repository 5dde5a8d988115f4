# SPDX-License-Identifier: Apache-2.0
"""A backup is made while the service runs, and put back only where the log proves it."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import command
import pytest
from fastapi.testclient import TestClient
from house import finished, make_key, serve
from pydantic import SecretStr
from sqlalchemy import select, update

from evidence import ConflictError, CountersignError, InputError, VerificationError, canonical, parse_json, sha256_hex
from service import backups, trust
from service.app import create_app
from service.database import RevisionRow, SignoffRow, StatementRow
from service.life import State
from service.views import Person
from signoff import Envelope, LogKey, MachineKey, gate, sign_with_ssh_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service.context import Context
    from service.settings import Settings

pytestmark = pytest.mark.sandbox
ON_BOTH = pytest.mark.parametrize("storage", ["sqlite", "postgresql"], indirect=True)
WHO = Person("reviewer", "Reviewer", "independent", "reviewer")


def context_of(client: TestClient) -> Context:
    context: Context = client.app.state.context  # type: ignore[attr-defined]
    return context


def signed(house: Any, client: TestClient, folder: Path) -> None:
    """One reviewed change with an approval that counts."""
    house.deliver(client, house.pull(house.branch("quiet", {"README": "words\n"})))
    assert finished(client).state is State.READY
    key = make_key(folder)
    public = key.with_suffix(".pub").read_text(encoding="ascii")
    trust.enrol_key(context_of(client), WHO, public, emails=("r@office.example",))
    reviews = client.app.state.reviews  # type: ignore[attr-defined]
    prepared = reviews.prepare_statement(1, 1, WHO, "APPROVED")
    reviews.sign_off(1, 1, WHO, nonce=prepared.nonce, ssh_signature=sign_with_ssh_key(key, prepared.pae))
    assert reviews.revision(1, 1).state is State.SIGNED


def elsewhere(house: Any, place: Path, url: str | None = None) -> Settings:
    settings: Settings = house.settings.model_copy(
        update={"data_dir": place / "data", "database_url": SecretStr(url) if url else None}
    )
    return settings


def kept_keys(house: Any, place: Path) -> Path:
    """The private keys, as an operator keeps them apart."""
    folder: Path = shutil.copytree(house.place / "data" / "keys", place / "keys")
    return folder


@ON_BOTH
def test_a_restored_service_has_what_was_signed_and_goes_on(
    house: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    keys = tmp_path / "kept"
    keys.mkdir()
    with TestClient(create_app(house.settings)) as client:
        signed(house, client, tmp_path)
        made = backups.backup(context_of(client), tmp_path / "backup.tar")
        assert house.deliver(client, house.pull(house.git("rev-parse", "main"), number=9)).status_code == 202
    assert made.signoffs == 1
    with tarfile.open(tmp_path / "backup.tar") as tar:
        names = tar.getnames()
    assert not [name for name in names if name.startswith(("keys/", "mirrors/", "work/")) or "sqlite" in name]
    url = request.getfixturevalue("postgresql")() if house.database_url else None
    settings = elsewhere(house, tmp_path / "fresh", url)
    proven = backups.restore(settings, tmp_path / "backup.tar", kept_keys(house, keys))
    assert proven == made
    assert [path.name for path in (tmp_path / "fresh").iterdir()] == ["data"]
    with TestClient(create_app(settings)) as client:
        reviews = client.app.state.reviews  # type: ignore[attr-defined]
        assert reviews.revision(1, 1).state is State.SIGNED
        bundle = tmp_path / "bundle.json"
        bundle.write_bytes(reviews.bundle(1, 1))
        data = settings.data
        house.git("checkout", "-q", "quiet")
        decision = gate(bundle, house.repository, {}, data / "policy.toml", data / "roots.json", datetime.now(UTC))
        house.git("checkout", "-q", "main")
        assert decision.admitted
        house.deliver(client, house.pull(house.branch("more", {"README": "more\n"}), number=2))
        assert finished(client, 2).state is State.READY


def test_a_review_that_had_not_ended_is_reviewed_again_after_a_restore(
    house: Any, idle: TestClient, tmp_path: Path
) -> None:
    house.deliver(idle, house.pull(house.branch("lift", {"rank.py": serve(lift=0.8)})))
    context = context_of(idle)
    trust.log(context)
    with context.database.write() as session:
        session.execute(update(RevisionRow).values(state=State.AUDITED, dispatched_at=datetime.now(UTC)))
    backups.backup(context, tmp_path / "backup.tar")
    settings = elsewhere(house, tmp_path / "fresh")
    backups.restore(settings, tmp_path / "backup.tar", kept_keys(house, tmp_path))
    with TestClient(create_app(settings)) as client:
        assert finished(client).verdict == "fail"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A backup with one sign-off, its keys, and the settings to restore with."""
    import house as houses  # noqa: PLC0415 - loaded by conftest

    place = tmp_path_factory.mktemp("original")
    house = houses.House(place).build()
    with TestClient(create_app(house.settings)) as client:
        signed(house, client, place)
        backups.backup(context_of(client), place / "backup.tar")
    return house, place / "backup.tar", kept_keys(house, place)


def rewritten(archive: Path, into: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The archive with its members changed."""
    with tarfile.open(archive) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    change(members)
    with tarfile.open(into, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return into


def flipped(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        for full in [each for each in members if each.startswith(name)]:
            members[full] = members[full][:-2] + bytes([members[full][-2] ^ 1]) + members[full][-1:]

    return change


MANIPULATIONS: dict[str, Callable[[dict[str, bytes]], Any]] = {
    "a row": flipped("database.jsonl"),
    "a piece of evidence": flipped("evidence/"),
    "a tile": flipped("log/tile/"),
    "the checkpoint": flipped("log/checkpoint"),
    "the seal": flipped("backup.dsse.json"),
    "a file less": lambda members: members.pop(next(name for name in members if name.startswith("evidence/"))),
    "a file more": lambda members: members.update({"policy.d": b"more"}),
    "a way out": lambda members: members.update({"../outside": b"more"}),
    "a key": lambda members: members.update({"keys/log.key": b"another"}),
    "no seal": lambda members: members.pop("backup.dsse.json"),
}


@pytest.mark.parametrize("what", list(MANIPULATIONS))
def test_a_manipulated_backup_is_refused_in_one_line_and_leaves_nothing(
    original: Any, tmp_path: Path, what: str
) -> None:
    house, archive, keys = original
    manipulated = rewritten(archive, tmp_path / "backup.tar", MANIPULATIONS[what])
    with pytest.raises(CountersignError) as refused:
        backups.restore(elsewhere(house, tmp_path / "fresh"), manipulated, keys)
    assert "\n" not in str(refused.value)
    assert list((tmp_path / "fresh").iterdir()) == []
    assert not (tmp_path / "outside").exists()


def resealed(members: dict[str, bytes], keys: Path) -> None:
    """As somebody would who has the service's key too."""
    service = MachineKey.load(keys / "service.pem")
    manifest = parse_json(Envelope.read(members.pop("backup.dsse.json"), limit=1 << 24).payload, "manifest")
    manifest["files"] = {
        name: {"sha256": sha256_hex(content), "size": len(content)} for name, content in members.items()
    }
    members["backup.dsse.json"] = canonical(service.sign(canonical(manifest)).to_json())


def test_rows_that_were_edited_and_sealed_anew_do_not_pass_the_log(original: Any, tmp_path: Path) -> None:
    house, archive, keys = original

    def change(members: dict[str, bytes]) -> None:
        rows = [json.loads(line) for line in members["database.jsonl"].splitlines()]
        for row in rows:
            if row["table"] == SignoffRow.__tablename__:
                row["row"]["decision"] = "REJECTED"
        members["database.jsonl"] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        resealed(members, keys)

    with pytest.raises(VerificationError, match="decision of the sign-off"):
        backups.restore(elsewhere(house, tmp_path / "fresh"), rewritten(archive, tmp_path / "backup.tar", change), keys)
    assert list((tmp_path / "fresh").iterdir()) == []


def test_a_log_that_was_edited_and_sealed_anew_is_refused(original: Any, tmp_path: Path) -> None:
    house, archive, keys = original

    def change(members: dict[str, bytes]) -> None:
        flipped("log/tile/entries")(members)
        resealed(members, keys)

    with pytest.raises(VerificationError, match="log"):
        backups.restore(elsewhere(house, tmp_path / "fresh"), rewritten(archive, tmp_path / "backup.tar", change), keys)


def test_half_a_backup_another_key_and_a_folder_in_use_are_refused(original: Any, tmp_path: Path) -> None:
    house, archive, keys = original
    half = tmp_path / "half.tar"
    half.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    settings = elsewhere(house, tmp_path / "fresh")
    with pytest.raises(InputError, match="not a whole one"):
        backups.restore(settings, half, keys)
    others = shutil.copytree(keys, tmp_path / "others")
    (others / "service.pem").unlink()
    MachineKey.generate().save(others / "service.pem")
    with pytest.raises(VerificationError):
        backups.restore(settings, archive, others)
    others = shutil.copytree(keys, tmp_path / "more")
    (others / "log.key").unlink()
    LogKey.generate("countersign").save(others / "log.key")
    with pytest.raises(VerificationError):
        backups.restore(settings, archive, others)
    assert list((tmp_path / "fresh").iterdir()) == []
    with pytest.raises(ConflictError, match="there already"):
        backups.restore(house.settings, archive, keys)


def test_by_command_line_a_backup_is_proven_and_overwrites_nothing(
    original: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    house, archive, keys = original
    run = command.runner(monkeypatch, capfd)
    data = house.place / "data"
    out = tmp_path / "again.tar"
    assert run("backup", out, "--data", data, "--format", "json").document["signoffs"] == 1
    assert run("backup", out, "--data", data).status == 2
    assert run("backup", tmp_path / "x.tar", "--data", tmp_path / "nowhere").status == 2
    restored = run("restore", out, "--keys", keys, "--data", tmp_path / "fresh" / "data")
    assert (restored.status, restored.out.startswith("restored and proven: ")) == (0, True)
    refused = run("restore", archive, "--keys", tmp_path, "--data", tmp_path / "fresh" / "other")
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.tar", "fresh"]


def test_damaged_evidence_is_not_backed_up_as_if_it_were_whole(idle: TestClient, tmp_path: Path) -> None:
    context = context_of(idle)
    trust.log(context)
    name = context.store.put(b"evidence").removeprefix("sha256:")
    (context.store.root / name[:2] / name).write_bytes(b"Evidence")
    with pytest.raises(VerificationError, match="damaged on disk"):
        backups.backup(context, tmp_path / "backup.tar")
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == []


def test_bytes_and_moments_come_back_as_they_were(original: Any, tmp_path: Path) -> None:
    house, archive, keys = original
    settings = elsewhere(house, tmp_path / "fresh")
    backups.restore(settings, archive, keys)
    found = []
    for one in (house.settings, settings):
        context = backups.open_kept(one)
        with context.database.read() as session:
            found.append([(row.payload, row.created_at) for row in session.scalars(select(StatementRow))])
        context.close()
    assert found[0] == found[1] != []
