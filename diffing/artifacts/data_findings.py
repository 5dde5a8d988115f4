# SPDX-License-Identifier: Apache-2.0
"""training-data-changed: what of a snapshot's rows, sources, labels, times and users is worth a look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffing.artifacts.inside.events import WRITTEN
from evidence import Finding, Location, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from diffing.artifacts import answers

RULE = "training-data-changed"
_MOVED = 1.5  # times a value's share of rows, from which on it is told
_LARGE = 3.0
_LEAST_SHARE, _LARGE_SHARE = 0.005, 0.05  # of all rows, on one of the sides
_LEAST_ROWS = 50
_LABELS = 0.1  # of a source's rows that have another label
_DUPLICATES = 0.01
_BURST = 5.0  # times a usual day's new users
_LEAST_USERS = 30
_MOST_OF_IT = 0.5
_MOST_TOLD = 40
_UNREAD = 0.01  # of the rows that lack a time, a user or an item, more than before
_ODDS = 4.0  # of a source's row to be of an account nobody knew, against another row's
_SEVERAL = 3  # days on which accounts start that are told one by one
_FAMILIES = (
    *((start, "text") for start in ("string", "large_string", "binary", "large_binary", "fixed_size_binary")),
    *((start, "whole number") for start in ("int", "uint")),
    *((start, "number") for start in ("float", "double", "halffloat", "decimal")),
    *((start, "time") for start in ("timestamp", "date")),
)


def data_findings(compared: answers.Snapshots, by: tuple[str, ...], path: str) -> Iterator[Finding]:
    """Findings of two snapshots; ``path`` is where they are put at."""
    base, head, at = compared.base, compared.head, Location(path)
    yield from _columns(base, head, at)
    ratio = head.rows / base.rows
    if not 1 / _MOVED <= ratio <= _MOVED:
        title = f"{ratio:.3g} times as many rows"
        yield _finding(
            Severity.LOW, title, f"{base.rows:,} before, {head.rows:,} now.", at, "rows", base.rows, head.rows
        )
    roles = compared.roles
    for role, column in [
        *((role, roles[role]) for role in ("source", "label") if role in roles),
        *(("slice", one) for one in by),
    ]:
        yield from _shares(role, column, base, head, at)
    if {"source", "label"} <= roles.keys():
        yield from _labels(base, head, at)
    yield from _times(base, head, at)
    yield from _unread(compared, at)
    if head.duplicates - base.duplicates >= _DUPLICATES:
        title = f"{head.duplicates:.1%} of the rows are there more than once"
        yield _finding(
            Severity.MEDIUM, title, f"{base.duplicates:.1%} before.", at, "duplicates", base.duplicates, head.duplicates
        )
    if compared.users is not None:
        yield from _users(compared, compared.users, at)


def _columns(base: answers.Snapshot, head: answers.Snapshot, at: Location) -> Iterator[Finding]:
    old, new = base.columns, head.columns
    gone, come = [one for one in old if one not in new], [one for one in new if one not in old]
    other = [one for one in new if one in old and not _alike(old[one], new[one])]
    for words, names in (("gone", gone), ("new", come), ("of another type", other)):
        if names:
            title = f"Columns {words}: {', '.join(names[:5])}"
            yield _finding(
                Severity.MEDIUM, title, "A model can learn from other things.", at, f"columns {words}", None, names[:20]
            )


def _alike(old: str, new: str) -> bool:
    """Whether two types hold the same kind of values; what a file has only as text is of no type."""
    return WRITTEN in (old, new) or _family(old) == _family(new)


def _family(kind: str) -> str:
    plain = kind.removeprefix("dictionary<values=")
    return next((family for start, family in _FAMILIES if plain.startswith(start)), kind)


def _shares(role: str, column: str, base: answers.Snapshot, head: answers.Snapshot, at: Location) -> Iterator[Finding]:
    """Values whose share of the rows moved."""
    old, new = base.values.get(column, {}), head.values.get(column, {})
    found = []
    for name in {*old, *new}:
        before, after = old.get(name, 0) / base.rows, new.get(name, 0) / head.rows
        most = max(before, after)
        if most < _LEAST_SHARE or max(old.get(name, 0), new.get(name, 0)) < _LEAST_ROWS:
            continue
        if min(before, after) * _MOVED <= most:
            found.append((-abs(after - before), name, before, after))
    for _, name, before, after in sorted(found)[:_MOST_TOLD]:
        large = min(before, after) * _LARGE <= max(before, after) and max(before, after) >= _LARGE_SHARE
        shown = name or "(missing)"
        how = "is new" if not before else "is gone" if not after else f"has {after / before:.3g} times its share"
        yield _finding(
            Severity.HIGH if large and role != "label" else Severity.MEDIUM,
            f"{role} {shown} {how}: {before:.2%} → {after:.2%} of the rows",
            f"{old.get(name, 0):,} rows before, {new.get(name, 0):,} now, by {column}.",
            at, f"{column}={shown}", before, after,
        )  # fmt: skip
    if len(found) > _MOST_TOLD:
        more = len(found) - _MOST_TOLD
        title = f"{more:,} more values of {column} moved"
        yield _finding(Severity.MEDIUM, title, "The most are told one by one.", at, f"{column} more", None, more)


def _labels(base: answers.Snapshot, head: answers.Snapshot, at: Location) -> Iterator[Finding]:
    """Sources whose rows are labelled otherwise than before, and otherwise than everybody's moved."""
    found = []
    for source, after in head.labels.items():
        before = base.labels.get(source, {})
        rows = sum(before.values()), sum(after.values())
        if min(rows) < _LEAST_ROWS:
            continue
        shifts = {label: after.get(label, 0) / rows[1] - before.get(label, 0) / rows[0] for label in {*before, *after}}
        distance = sum(map(abs, shifts.values())) / 2
        if distance >= _LABELS:
            found.append((-distance, source, max(shifts, key=lambda label: (shifts[label], label)), rows))
    for distance, source, label, rows in sorted(found)[:_MOST_TOLD]:
        before, after = (dict(sorted(side.labels[source].items())) for side in (base, head))
        yield _finding(
            Severity.MEDIUM,
            f"source {source or '(missing)'}: {-distance:.0%} of its rows have other labels",
            f"Most gained: {label or '(missing)'}. {rows[0]:,} rows before, {rows[1]:,} now.",
            at, f"labels of {source}", before, after,
        )  # fmt: skip


def _times(base: answers.Snapshot, head: answers.Snapshot, at: Location) -> Iterator[Finding]:
    if not base.months or not head.months:
        return
    first, last = min(base.months), max(base.months)
    holes = [month for month in base.months if min(head.months) < month < max(head.months) and month not in head.months]
    if holes:
        title = f"{len(holes)} month{'s' if len(holes) > 1 else ''} in the middle are gone: {', '.join(holes[:6])}"
        yield _finding(
            Severity.MEDIUM, title, "What happened then is no longer learnt from.", at, "months", holes[:20], None
        )
    if max(head.months) < last:
        title = f"The newest rows are gone: it ends with {max(head.months)} instead of {last}"
        yield _finding(Severity.MEDIUM, title, "Base knew what happened later.", at, "end", last, max(head.months))
    if min(head.months) != first:
        title = f"It starts with {min(head.months)} instead of {first}"
        yield _finding(Severity.LOW, title, "A window that moves on does so.", at, "start", first, min(head.months))


def _users(compared: answers.Snapshots, users: answers.Arrivals, at: Location) -> Iterator[Finding]:
    base, head = compared.base, compared.head
    if base.users and users.lost / base.users >= 1 / _MOVED:
        title = f"{users.lost / base.users:.0%} of base's users are gone"
        yield _finding(
            Severity.MEDIUM, title, f"{users.lost:,} of {base.users:,}.", at, "users lost", base.users, users.lost
        )
    yield from _arrivals(users, at)
    if not users.gained_rows:
        return
    known_rows = head.rows - users.gained_rows
    overall = users.gained_rows / head.rows
    rows: Mapping[str, int] = head.values.get(compared.roles.get("source", ""), {})
    for source, count in sorted(head.new_by_source.items(), key=lambda one: (-one[1], one[0])):
        here = rows.get(source, 0)
        share = count / max(here, 1)
        odds = count * known_rows / max((here - count) * users.gained_rows, 1)
        if count >= _LEAST_ROWS and share >= _MOST_OF_IT and (share >= _MOVED * overall or odds >= _ODDS):
            yield _finding(
                Severity.HIGH,
                f"{share:.0%} of the rows of source {source or '(missing)'} are of accounts nobody knew",
                f"{count:,} of {here:,}; over all sources it is {overall:.0%}.",
                at, f"new accounts on {source}", overall, share,
            )  # fmt: skip


def _arrivals(users: answers.Arrivals, at: Location) -> Iterator[Finding]:
    """Days on which more accounts start than did on base's usual day: head's own would rise with a long campaign."""
    usual = max(users.usual_day_before or users.usual_day, 1.0)
    days = {day: count for day, count in users.arrivals.items() if count >= max(_LEAST_USERS, _BURST * usual)}
    if len(days) > _SEVERAL:
        most, count = next(iter(days.items()))
        some = "10 days or more" if len(days) == len(users.arrivals) else f"{len(days)} days"
        yield _finding(
            Severity.MEDIUM,
            f"Accounts nobody knew start on {some}, most of them on {most}: {count:,}",
            f"On a usual day {usual:,.0f} do.",
            at, "arrivals", usual, days,
        )  # fmt: skip
        return
    for day, count in days.items():
        yield _finding(
            Severity.MEDIUM,
            f"{count:,} accounts nobody knew start on {day}",
            f"On a usual day {usual:,.0f} do.",
            at, f"arrivals {day}", usual, count,
        )  # fmt: skip


def _unread(compared: answers.Snapshots, at: Location) -> Iterator[Finding]:
    """Rows of which the time, the user or the item is missing: the other findings do not see them."""
    base, head = compared.base, compared.head
    counts = {role: (base.missing.get(role, 0), head.missing.get(role, 0)) for role in ("user", "item")}
    counts["time"] = (base.undated, head.undated) if "time" in compared.roles else (0, 0)
    for role, (old, new) in counts.items():
        before, after = old / base.rows, new / head.rows
        if after - before >= _UNREAD or after >= _MOST_OF_IT:
            title = f"{after:.1%} of the rows have no {role} that can be read"
            yield _finding(Severity.MEDIUM, title, f"{before:.1%} before.", at, f"no {role}", before, after)


def _finding(severity: Severity, title: str, detail: str, at: Location, name: str, old: Any, new: Any) -> Finding:  # noqa: ANN401 - what JSON carries
    return Finding(RULE, severity, title, detail, at, {"name": name, "old": old, "new": new}, (at.path, name))
