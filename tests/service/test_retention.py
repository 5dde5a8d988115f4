# SPDX-License-Identifier: Apache-2.0
"""Evidence is kept for three years at least, longer where it is held, and then goes without what was signed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import command
import pytest
from pydantic import ValidationError
from sqlalchemy import select, update

from evidence import ConflictError, InputError, NotFoundError
from service import retention, trust
from service.database import EventRow, RevisionRow
from service.life import State
from service.settings import Settings

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from service.context import Context

NOW = datetime(2030, 1, 1, tzinfo=UTC)
OLD = NOW - timedelta(days=3 * 365.25 + 1)
ON_BOTH = pytest.mark.parametrize("storage", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def context(house: Any, idle: TestClient) -> Context:
    """Three changes of one revision each, reviewed long ago; the first two share their diff."""
    context: Context = idle.app.state.context  # type: ignore[attr-defined]
    for number in (1, 2, 3):
        head = house.branch(f"b{number}", {"README": f"{number}\n"})
        house.deliver(idle, house.pull(head, number=number))
    shared = context.store.put(b"shared diff")
    for revision_id in (1, 2, 3):
        moved(
            context,
            revision_id,
            diff_digest=shared if revision_id < 3 else context.store.put(b"diff 3"),
            audit_digest=context.store.put(f"audit {revision_id}".encode()),
            digest=context.store.put(f"manifest {revision_id}".encode()),
            state=State.READY,
            since=OLD,
        )
    return context


def moved(context: Context, revision_id: int, **values: Any) -> None:
    with context.database.write() as session:
        session.execute(update(RevisionRow).where(RevisionRow.id == revision_id).values(**values))


def there(context: Context, content: bytes) -> bool:
    from evidence import digest  # noqa: PLC0415 - beside its only use

    try:
        return context.store.get(digest(content)) == content
    except NotFoundError:
        return False


@ON_BOTH
def test_what_is_old_goes_once_but_for_what_something_younger_needs(context: Context) -> None:
    moved(context, 2, since=OLD + timedelta(days=2))
    assert [(one.change_id, one.n, len(one.documents)) for one in retention.due(context, NOW)] == [(1, 1, 1), (3, 1, 2)]
    retention.remove(context, NOW)
    assert [there(context, each) for each in (b"audit 1", b"audit 3", b"diff 3")] == [False] * 3
    assert [there(context, each) for each in (b"shared diff", b"audit 2", b"manifest 1")] == [True] * 3
    with context.database.read() as session:
        events = session.execute(select(EventRow.revision_id).where(EventRow.what == retention.REMOVED)).all()
    assert sorted(events) == [(1,), (3,)]
    assert retention.remove(context, NOW) == []
    moved(context, 2, since=OLD)
    assert [len(one.documents) for one in retention.remove(context, NOW)] == [2]
    assert not there(context, b"shared diff")


@pytest.mark.parametrize("state", [State.SIGNED, State.RECEIVED, State.DIFFED, State.AUDITED])
def test_what_is_signed_or_under_review_stays_however_old(context: Context, state: State) -> None:
    moved(context, 1, state=state)
    assert [one.change_id for one in retention.due(context, NOW)] == [2, 3]


def test_a_hold_keeps_everything_of_a_change_until_it_is_released(context: Context) -> None:
    retention.hold(context, 3, " a court asks ", NOW)
    retention.remove(context, NOW)
    assert there(context, b"audit 3")
    assert [(one.change_id, one.reason) for one in retention.holds(context)] == [(3, "a court asks")]
    with pytest.raises(ConflictError, match="already"):
        retention.hold(context, 3, "again", NOW)
    retention.release(context, 3)
    with pytest.raises(NotFoundError):
        retention.release(context, 3)
    retention.remove(context, NOW)
    assert not there(context, b"audit 3")


def test_a_hold_that_cannot_be_is_refused_and_a_damaged_list_removes_nothing(context: Context) -> None:
    with pytest.raises(NotFoundError):
        retention.hold(context, 9, "reason", NOW)
    with pytest.raises(InputError, match="reason"):
        retention.hold(context, 1, " ", NOW)
    (context.settings.data / "holds.json").write_text('[{"change": "x"}]', encoding="utf-8")
    with pytest.raises(InputError, match="not a list of holds"):
        retention.remove(context, NOW)
    assert there(context, b"audit 1")


def test_less_than_three_years_is_no_setting() -> None:
    with pytest.raises(ValidationError):
        Settings(retention_years=2.9)


def test_by_command_line(context: Context, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    trust.log(context)
    run = command.runner(monkeypatch, capfd, "retention")
    data = ("--data", context.settings.data)
    long_ago = datetime.now(UTC) - timedelta(days=4 * 366)
    for revision_id in (1, 2, 3):
        moved(context, revision_id, since=long_ago)
    assert run("hold", "2", "--reason", "asked for", *data).out == "held: change 2\n"
    shown = run("show", *data).out.splitlines()
    assert shown[0].startswith("held: change 2 since ")
    assert shown[1:] == ["due: change 1, revision 1: 1 documents", "due: change 3, revision 1: 2 documents"]
    assert run("apply", *data).out.count("removed: change") == 2
    assert run("apply", *data).out == "removed: nothing\n"
    assert run("release", "2", *data).status == 0
    assert run("release", "2", *data).status == 2
