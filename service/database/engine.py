# SPDX-License-Identifier: Apache-2.0
"""The database: opened durable, migrated to the newest shape, every write in a transaction of its own."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session as OrmSession

from evidence import ConflictError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_MS = 30_000
_WRITERS = 0x636F756E74657273  # the advisory lock of whoever writes or migrates, "counters" in ASCII
_MOVING = ("state", "settled_at", "asked_at", "log_index")
_POSTGRESQL = "postgresql+psycopg"


class Database:
    """A database by SQLAlchemy URL. ``read()`` and ``write()`` are the only ways in."""

    def __init__(self, url: str) -> None:
        if url.startswith("sqlite"):
            self.engine = create_engine(url)
            _make_durable(self.engine)
        else:
            self.engine = create_engine(postgresql_url(url), pool_pre_ping=True, pool_size=10, max_overflow=30)
            _make_alike(self.engine)
        self._moved: Callable[[OrmSession, list[Any]], None] | None = None

    def on_move(self, moved: Callable[[OrmSession, list[Any]], None]) -> None:
        """Have ``moved`` told, in the transaction itself, of the rows that a write has moved to another state.

        Those are rows with a ``state``, ``settled_at``, ``asked_at`` or ``log_index`` that is new, after everything
        else that was written. So what is written because of it is there with it, or neither is; and nobody who moves a
        row has to think of that.
        """
        self._moved = moved

    @staticmethod
    def sqlite(path: Path) -> Database:
        """A SQLite file, created if absent."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Database(f"sqlite:///{path.resolve()}")

    @contextmanager
    def read(self) -> Iterator[OrmSession]:
        """A session for reading; what it changes is thrown away."""
        with OrmSession(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[OrmSession]:
        """A session that commits at the end, or changes nothing if an exception leaves the block."""
        with (
            self.engine.connect().execution_options(countersign_write=True) as connection,
            connection.begin(),
            OrmSession(connection, expire_on_commit=False) as session,
        ):
            moved: dict[Any, None] = {}
            event.listen(session, "before_flush", lambda one, *_: moved.update(_moves(one)))
            yield session
            session.flush()
            if self._moved is not None and moved:
                self._moved(session, list(moved))
                session.flush()

    def migrate(self) -> None:
        """Bring the tables to the newest shape, whole or not at all.

        SQLite changes a table by making it anew, which foreign keys, held at every statement, do not let pass: they
        are off meanwhile, and checked at the end. https://www.sqlite.org/lang_altertable.html#otheralter

        Raises:
            ConflictError: a row would point to one that is not there; nothing was changed.
        """
        with (
            self.engine.connect().execution_options(countersign_write=True) as connection,
            _foreign_keys_off(connection),
            connection.begin(),
        ):
            command.upgrade(_alembic(connection), "head")
            if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise ConflictError(f"{self.engine.url.database}: rows point to others that are gone; use a backup")

    def current(self) -> bool:
        """Whether the database can be reached and its tables have the newest shape."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            found = MigrationContext.configure(connection).get_current_revision()
        return found == ScriptDirectory(str(_MIGRATIONS)).get_current_head()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _moves(session: OrmSession) -> dict[Any, None]:
    """The rows about to be written whose state is another one than the database has."""
    found: dict[Any, None] = {}
    for row in (*session.new, *session.dirty):
        attributes = inspect(row).attrs
        if any(name in attributes and attributes[name].history.has_changes() for name in _MOVING):
            found[row] = None
    return found


@contextmanager
def _foreign_keys_off(connection: Connection) -> Iterator[None]:
    """Off outside a transaction, where alone SQLite obeys; on again afterwards. Elsewhere nothing happens."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name != "sqlite":
        yield
        return
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def postgresql_url(url: str) -> str:
    """The URL of a PostgreSQL database as SQLAlchemy and DBOS take it: by psycopg 3.

    Raises:
        InputError: not such a URL. Nothing of it is repeated: it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise InputError("the database's URL is none; write postgresql://USER:PASSWORD@HOST/DATABASE") from error
    if parsed.drivername not in {"postgresql", "postgres", _POSTGRESQL} or not parsed.database:
        raise InputError("the database's URL has to be postgresql://USER:PASSWORD@HOST/DATABASE")
    return parsed.set(drivername=_POSTGRESQL).render_as_string(hide_password=False)


def _make_alike(engine: Engine) -> None:
    """PostgreSQL as SQLite is: writers take turns, readers see one moment (decision 80)."""

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("countersign_write", False):
            _take_turn(connection)
        else:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _take_turn(connection: Connection) -> None:
    """On PostgreSQL wait, as long as SQLite would, to be the one that writes until this transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_BUSY_MS}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")


def _make_durable(engine: Engine) -> None:
    """WAL, synchronous=FULL, and BEGIN IMMEDIATE for writers (a deferred writer can fail half-way as busy)."""

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:  # noqa: ANN401 - the driver's own connection
        connection.isolation_level = None  # the driver begins nothing by itself: "begin" below does
        for pragma in (
            f"busy_timeout={_BUSY_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("countersign_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
