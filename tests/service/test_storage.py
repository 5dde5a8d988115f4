# SPDX-License-Identifier: Apache-2.0
"""What the service keeps: evidence by content, the database's shape, settings, the life of a revision."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, MetaData, Table, insert, select, text
from sqlalchemy.exc import StatementError

from evidence import ConflictError, InputError, NotFoundError, RepositoryError
from service import failures
from service.arrivals import now
from service.database import Base, Change, Database, EventRow, PersonRow, RevisionRow, SignInLink, engine
from service.life import FINAL, MOVES, State, diagram, move
from service.settings import Settings, read_platforms
from service.slates import SlateFolder
from service.store import EvidenceDamagedError, EvidenceStore

ON_BOTH = pytest.mark.parametrize("storage", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database(tmp_path: Path, storage: str | None) -> Any:
    database = Database(storage) if storage else Database.sqlite(tmp_path / "x.sqlite")
    database.migrate()
    yield database
    database.close()


def test_evidence_comes_back_as_it_was_put(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path / "evidence")
    name = store.put(b"content")
    assert (store.get(name), store.put(b"content")) == (b"content", name)
    document = {"b": [1, 2.5, None], "a": "ä"}
    assert store.get_json(store.put_json(document)) == document


def test_damaged_evidence_is_an_error_and_never_content(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path / "evidence")
    name = store.put(b"content")
    (path,) = (path for path in (tmp_path / "evidence").rglob("*") if path.is_file())
    path.write_bytes(b"Content")
    with pytest.raises(EvidenceDamagedError, match="backup"):
        store.get(name)


@pytest.mark.parametrize("name", ["", "sha256:../../x", "sha256:" + "A" * 64, "md5:" + "0" * 64])
def test_a_name_that_is_no_digest_leads_nowhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        EvidenceStore(tmp_path).get(name)


def test_absent_evidence_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        EvidenceStore(tmp_path).get(f"sha256:{'0' * 64}")


def test_cached_slates_that_were_damaged_count_as_absent(tmp_path: Path) -> None:
    cache = SlateFolder(tmp_path)
    assert cache.get("key") is None
    cache.put("key", b"slates")
    assert cache.get("key") == b"slates"
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.get("key") is None


@ON_BOTH
def test_migrations_lead_to_the_tables_as_they_are_declared(database: Database) -> None:
    assert database.current()
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_what_an_older_version_stored_is_kept_by_the_migration(tmp_path: Path) -> None:
    database = Database.sqlite(tmp_path / "older.sqlite")
    config = Config()
    config.set_main_option("script_location", str(Path(engine.__file__).parent / "migrations"))
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    with database.write() as session:
        change = Change(platform="p", repository="o/n", key="pull/1", title="t", description="", author="a",
                        target_ref="refs/heads/main", opened_at=moment)  # fmt: skip
        session.add(change)
        session.flush()
        older = {"change_id": change.id, "n": 1, "head_commit": "a" * 40, "state": State.READY, "created_at": moment,
                 "since": moment, "workflow_id": "w", "findings": 0}  # fmt: skip
        revisions = Table("revision", MetaData(), *(Column(name, RevisionRow.__table__.c[name].type) for name in older))
        session.execute(insert(revisions).values(older))  # the columns that there were
        session.add(EventRow(revision_id=session.scalar(select(RevisionRow.id)), at=moment, what="received"))
    assert not database.current()
    database.migrate()
    assert database.current()
    with database.read() as session:
        assert session.scalars(select(RevisionRow.head_commit)).all() == ["a" * 40]
        assert session.scalars(select(EventRow.what)).all() == ["received"]
    with database.engine.connect() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    database.close()


def test_the_database_is_durable(database: Database) -> None:
    with database.engine.connect() as connection:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@ON_BOTH
def test_a_failed_write_leaves_nothing(database: Database) -> None:
    def half() -> None:
        with database.write() as session:
            session.add(PersonRow(id="a", name="A", organization="O", role="reviewer"))
            session.flush()
            raise ConflictError("half-way")

    with pytest.raises(ConflictError, match="half-way"):
        half()
    with database.read() as session:
        assert session.get(PersonRow, "a") is None


@ON_BOTH
def test_moments_come_back_in_utc_and_without_a_zone_are_refused(database: Database) -> None:
    moment = now()
    link = {"token_sha256": "0" * 64, "person_id": "a", "expires_at": moment}
    with database.write() as session:
        session.add(PersonRow(id="a", name="A", organization="O", role="reviewer"))
        session.flush()
        session.add(SignInLink(**link, created_at=moment))
    with database.read() as session:
        assert session.get_one(SignInLink, "0" * 64).created_at == moment

    def without_zone() -> None:
        with database.write() as session:
            session.add(SignInLink(**link | {"token_sha256": "1"}, created_at=datetime.now(UTC).replace(tzinfo=None)))

    with pytest.raises(StatementError, match="time zone"):
        without_zone()


def test_the_life_of_a_revision_is_one_table() -> None:
    assert set(MOVES) == set(State)
    assert move(State.READY, State.SIGNED) is State.SIGNED
    with pytest.raises(ConflictError):
        move(State.SUPERSEDED, State.READY)
    assert all(State.SUPERSEDED in MOVES[state] for state in State if state is not State.SUPERSEDED)
    assert State.RECEIVED not in FINAL
    assert diagram().startswith("stateDiagram-v2\n")


PLATFORM = 'name = "p"\npanel = "panel"\n[[platforms.repositories]]\nname = "o/n"\nurl = "https://h/o/n.git"\n'


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("https://h", "http://h", "allow_local"),
        ("https://h/o/n.git", "file:///srv/x", "allow_local"),
        ('panel = "panel"\n', "", "panel"),
        ('panel = "panel"\n', 'panel = "panel"\nmore = 1\n', "more"),
        ('panel = "panel"\n', 'panel = "panel"\nwebhook_secret = "short"\n', "16 characters"),
        ('name = "o/n"', 'name = "o"', "name"),
        ("[[platforms.repositories]]", "[[", "TOML"),
    ],
)
def test_a_platform_that_cannot_be_used_is_one_line(tmp_path: Path, before: str, after: str, words: str) -> None:
    path = tmp_path / "platforms.toml"
    path.write_text(f"[[platforms]]\n{PLATFORM.replace(before, after)}", encoding="utf-8")
    with pytest.raises(InputError, match=words):
        read_platforms(path)


def test_a_repository_is_found_by_its_name_or_under_the_prefix(tmp_path: Path) -> None:
    path = tmp_path / "platforms.toml"
    prefix = '[[platforms]]\nname = "q"\npanel = "panel"\nrepository_prefix = "https://h/acme/"\n'
    path.write_text(f"[[platforms]]\n{PLATFORM}{prefix}", encoding="utf-8")
    named, prefixed = read_platforms(path)
    assert named.panel == tmp_path / "panel"
    assert [bool(named.find(name)) for name in ("o/n", "O/N", "o/other")] == [True, True, False]
    found = prefixed.find("acme/x")
    assert found is not None
    assert found.url == "https://h/acme/x.git"
    assert [prefixed.find(name) for name in ("evil/x", "acme/..", "acme/x/y", "x", "acmes/x")] == [None] * 5


def test_the_real_data_for_tests_is_not_taken_for_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_DATA", "/elsewhere")
    assert Settings().data == Path.cwd() / "data"


@given(st.text())
def test_an_unforeseen_error_tells_the_submitter_nothing_of_itself(words: str) -> None:
    described = failures.describe(ValueError(f"secret {words}"))
    assert "secret" in described.detail
    assert "secret" not in described.public
    assert failures.from_json(failures.to_json(described)) == described


@pytest.mark.parametrize("data", ["/srv/data", "/srv/the data: of 2026/x"])
def test_a_submitter_is_not_told_where_the_mirror_is(data: str) -> None:
    mirror = f"{data}/mirrors/acme/0123456789abcdef.git"
    for message, public in (
        (f"ref 'a/b' names no commit in {mirror}", "ref 'a/b' names no commit"),
        (f"{mirror}: the repository is empty, it has no commit", "the repository is empty, it has no commit"),
    ):
        described = failures.describe(RepositoryError(message))
        assert (described.public, described.detail) == (public, message)
