# SPDX-License-Identifier: Apache-2.0
"""The database's rows as lines of JSON, and back: the same for SQLite and PostgreSQL, so also from one to the other."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, LargeBinary, func, insert, select, text, update

from evidence import InputError
from service.arrivals import now
from service.database import Base, RevisionRow
from service.database.models import UtcDateTime
from service.life import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Column, Table
    from sqlalchemy.orm import Session

    from service.database import Database

_AT_ONCE = 500
_UNDER_REVIEW = (State.RECEIVED, State.DIFFED, State.AUDITED)


def dump(database: Database) -> Iterator[bytes]:
    """Every row as one line, all as of one moment; tables in an order in which they can be filled."""
    with database.read() as session:
        for table in Base.metadata.sorted_tables:
            for row in session.execute(select(table).order_by(*table.primary_key)).mappings():
                values = {name: _out(value) for name, value in row.items() if value is not None}
                yield json.dumps({"table": table.name, "row": values}, ensure_ascii=False).encode() + b"\n"


def load(database: Database, lines: Iterable[bytes]) -> int:
    """Fill an empty, migrated database, whole or not at all; returns how many rows.

    Reviews that had not ended begin anew: how far their workflows were is not among the rows.

    Raises:
        InputError: not lines of `dump`, or the database has rows already.
    """
    tables = {table.name: table for table in Base.metadata.sorted_tables}
    count = 0
    with database.write() as session:
        for table in tables.values():
            if session.execute(select(table).limit(1)).first() is not None:
                raise InputError(f"the database has rows in {table.name} already: restore into an empty one")
        waiting: list[dict[str, Any]] = []
        current: Table | None = None
        for line in lines:
            try:
                document = json.loads(line)
                table = tables[document["table"]]
                row = {name: _in(table.c[name], value) for name, value in document["row"].items()}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(f"row {count + 1} of the backup's database cannot be read") from error
            if current is not table or len(waiting) >= _AT_ONCE:
                _flush(session, current, waiting)
                current, waiting = table, []
            waiting.append({column.name: row.get(column.name) for column in table.columns})
            count += 1
        _flush(session, current, waiting)
        session.execute(
            update(RevisionRow)
            .where(RevisionRow.state.in_(_UNDER_REVIEW))
            .values(state=State.RECEIVED, since=now(), dispatched_at=None)
        )
        _number_on(session)
    return count


def _flush(session: Session, table: Table | None, rows: list[dict[str, Any]]) -> None:
    if table is not None and rows:
        session.execute(insert(table), rows)


def _number_on(session: Session) -> None:
    """PostgreSQL counts ids apart from the rows: the next one follows on those that were put in."""
    if session.get_bind().dialect.name != "postgresql":
        return
    for table in Base.metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None:
            continue
        sequence = session.scalar(
            text("SELECT pg_get_serial_sequence(:table, :column)").bindparams(table=table.name, column=column.name)
        )
        highest = session.scalar(select(func.max(column)))
        if sequence is not None and highest is not None:
            session.execute(select(func.setval(sequence, highest)))


def _out(value: Any) -> Any:  # noqa: ANN401 - a column's value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def _in(column: Column[Any], value: Any) -> Any:  # noqa: ANN401 - as above
    if isinstance(column.type, LargeBinary):
        return base64.b64decode(value, validate=True)
    if isinstance(column.type, (DateTime, UtcDateTime)):
        return datetime.fromisoformat(value)
    return value
