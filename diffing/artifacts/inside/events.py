# SPDX-License-Identifier: Apache-2.0
"""A snapshot of training data, read batch by batch: what its columns hold, whatever the number of rows.

Texts are counted by name up to a number of distinct ones, users, items and rows by 64 bits of a digest; of more rows
than fit, those whose digest ends in zeros stand for the others.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from diffing.artifacts.inside.columns import MISSING, NO_DAY, SPREAD, day_numbers, digested, digests_of, named
from diffing.artifacts.inside.words import RefusedError, checked_name

if TYPE_CHECKING:
    from diffing.artifacts.inside.tensors import Array

SLICES = "(slices)"  # where the rows of groups of items stand among the columns whose values are told
MOST_VALUES = 20_000  # distinct sources, labels or members of a slice
MOST_PEOPLE = 40_000_000
_MOST_ROWS = 8_000_000  # digests of rows that are held
_PENDING = 4_000_000
_WEEK = 7
WRITTEN = "as written"  # the type of a column that a file has only as text


class People:
    """Distinct ids: how many rows each has, and its first day."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.missing = 0
        self.ids: Array = np.empty(0, "<u8")
        self.rows: Array = np.empty(0, "<i8")
        self.first: Array = np.empty(0, "<i4")
        self._pending: list[tuple[Array, Array]] = []
        self._held = 0

    def take(self, ids: Array, days: Array) -> None:
        """Add rows by the digest of whom they are of; what is missing is nobody."""
        known = ids != MISSING
        if not known.all():
            self.missing += int(len(ids) - known.sum())
            ids, days = ids[known], days[known]
        self._pending.append((ids, days))
        self._held += len(ids)
        if self._held > _PENDING:
            self.settle()

    def settle(self) -> None:
        """Put what waits to the rest."""
        ids = np.concatenate([self.ids, *(one for one, _ in self._pending)])
        first = np.concatenate([self.first, *(days for _, days in self._pending)])
        rows = np.concatenate([self.rows, np.ones(self._held, "<i8")])
        self.ids, place = np.unique(ids, return_inverse=True)
        self.rows = np.bincount(place, weights=rows, minlength=len(self.ids)).astype("<i8")
        self.first = np.full(len(self.ids), NO_DAY, "<i4")
        np.minimum.at(self.first, place, first)
        self._pending, self._held = [], 0
        if len(self.ids) > MOST_PEOPLE:
            raise RefusedError(f"more than {MOST_PEOPLE:,} {self._what}")

    def has(self, ids: Array) -> Array:
        """Which of these are among them."""
        at = np.searchsorted(self.ids, ids)
        found: Array = (
            np.zeros(len(ids), bool) if not len(self.ids) else self.ids[np.minimum(at, len(self.ids) - 1)] == ids
        )
        return found


class Rows:
    """Digests of whole rows, to count those that are there twice; a share of them once there are many."""

    def __init__(self) -> None:
        self.step = 1
        self._kept: list[Array] = []
        self._held = 0

    def take(self, digests: Array) -> None:
        """Add rows."""
        kept = digests[digests % np.uint64(self.step) == 0] if self.step > 1 else digests
        self._kept.append(kept)
        self._held += len(kept)
        while self._held > _MOST_ROWS:
            self.step *= 4
            whole = np.concatenate(self._kept)
            self._kept = [whole[whole % np.uint64(self.step) == 0]]
            self._held = len(self._kept[0])

    def share(self) -> float:
        """The share of rows that say the same as another one before."""
        whole = np.concatenate(self._kept) if self._kept else np.empty(0, "<u8")
        return 1.0 - len(np.unique(whole)) / len(whole) if len(whole) else 0.0


class Snapshot:
    """One side: takes batches, then tells. ``before`` is base's users, if this is head; ``groups`` are ids of items."""

    def __init__(
        self, roles: dict[str, str], by: list[str], before: People | None, groups: dict[str, list[str]] | None = None
    ) -> None:
        self._groups = groups or {}
        self._members: dict[str, Array] = {}
        self._roles, self._before = roles, before
        self._named = [roles[role] for role in ("source", "label") if role in roles] + by
        self.rows = 0
        self.columns: dict[str, str] = {}
        self.users, self._items = People("users"), People("items")
        self._whole = Rows()
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in self._named}
        self._labels: dict[tuple[str, str], int] = Counter()
        self._new_by_source: Counter[str] = Counter()
        self._months: Counter[int] = Counter()
        self._undated = 0

    def take(self, batch: Any, *, written: bool = False) -> None:  # noqa: ANN401 - pyarrow has no types
        """Add a batch, of a file that has only text where it is ``written``.

        Raises:
            RefusedError: its columns are not those before, or one is missing.
        """
        if len(set(batch.schema.names)) != len(batch.schema.names):
            raise RefusedError("two columns of one name")
        columns = {checked_name(field.name): WRITTEN if written else str(field.type)[:60] for field in batch.schema}
        if self.columns and list(columns) != list(self.columns):
            raise RefusedError("files of one snapshot have other columns than each other")
        self.columns = self.columns or columns
        missing = [name for name in (*self._roles.values(), *self._named) if name not in columns]
        if missing:
            raise RefusedError(f"no column {missing[0][:80]!r}; there are {', '.join(list(columns)[:20])[:300]}")
        self.rows += batch.num_rows
        digests = {name: digested(batch.column(name)) for name in columns}
        whole = np.zeros(batch.num_rows, "<u8")
        for digests_ in digests.values():
            whole = (whole ^ digests_) * SPREAD
            whole ^= whole >> np.uint64(29)
        self._whole.take(whole)
        days = self._dated(batch)
        if "item" in self._roles:
            items = digests[self._roles["item"]]
            self._items.take(items, days)
            self._sliced(items)
        new = np.zeros(batch.num_rows, bool)
        if "user" in self._roles:
            users = digests[self._roles["user"]]
            self.users.take(users, days)
            new = ~self._before.has(users) & (users != MISSING) if self._before is not None else new
        self._counted(batch, new)

    def _sliced(self, items: Array) -> None:
        """Count the rows of each group."""
        if self._groups and not self._members:
            self._members = {name: np.sort(digests_of(ids)) for name, ids in self._groups.items()}
            self._counts[SLICES] = Counter(dict.fromkeys(self._members, 0))
        for name, members in self._members.items():
            self._counts[SLICES][name] += int(np.isin(items, members).sum())

    def _dated(self, batch: Any) -> Array:  # noqa: ANN401 - see above
        if "time" not in self._roles:
            return np.full(batch.num_rows, NO_DAY, "<i4")
        days = day_numbers(batch.column(self._roles["time"]))
        known = days[days != NO_DAY]
        self._undated += len(days) - len(known)
        months = known.astype("<M8[D]").astype("<M8[M]").astype("<i8")
        for month, count in zip(*np.unique(months, return_counts=True), strict=True):
            self._months[int(month)] += int(count)
        return days

    def _counted(self, batch: Any, new: Array) -> None:  # noqa: ANN401 - see above
        held: dict[str, tuple[Array, list[str]]] = {}
        for name in dict.fromkeys(self._named):
            codes, values = named(batch.column(name))
            held[name] = codes, values
            counts = np.bincount(codes, minlength=len(values))
            for value, count in zip(values, counts.tolist(), strict=True):
                self._counts[name][value] += count
            if len(self._counts[name]) > MOST_VALUES:
                raise RefusedError(f"column {name!r}: more than {MOST_VALUES:,} different values: name another one")
        source = self._roles.get("source")
        if source is None:
            return
        codes, values = held[source]
        for value, count in zip(values, np.bincount(codes[new], minlength=len(values)).tolist(), strict=True):
            self._new_by_source[value] += count
        if "label" in self._roles:
            others, labels = held[self._roles["label"]]
            pairs, counts = np.unique(codes.astype("<i8") * len(labels) + others, return_counts=True)
            for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
                self._labels[values[pair // len(labels)], labels[pair % len(labels)]] += count
            if len(self._labels) > MOST_VALUES * 10:
                raise RefusedError("more pairs of source and label than are told")

    def told(self) -> dict[str, Any]:
        """What there is to say of this side alone."""
        self.users.settle()
        self._items.settle()
        labels: dict[str, dict[str, int]] = {}
        for (source, label), count in sorted(self._labels.items()):
            labels.setdefault(source, {})[label] = count
        return {
            "rows": self.rows,
            "columns": self.columns,
            "users": len(self.users.ids) if "user" in self._roles else None,
            "items": len(self._items.ids) if "item" in self._roles else None,
            "duplicates": round(self._whole.share(), 6),
            "duplicates_sampled": self._whole.step,
            "undated": self._undated,
            "missing": {
                role: people.missing
                for role, people in (("user", self.users), ("item", self._items))
                if role in self._roles
            },
            "months": {str(np.datetime64(month, "M")): count for month, count in sorted(self._months.items())},
            "values": {
                name: {value: count for value, count in sorted(counts.items()) if count or name == SLICES}
                for name, counts in self._counts.items()
            },
            "labels": labels,
            "new_by_source": dict(sorted((name, count) for name, count in self._new_by_source.items() if count)),
        }


def moved(base: People, head: People) -> dict[str, Any]:
    """Users that only one side has, and on which days those of head come for the first time."""
    gained = ~base.has(head.ids)
    days, counts = np.unique(head.first[gained & (head.first != NO_DAY)], return_counts=True)
    arrivals = {
        str(np.datetime64(int(days[at]), "D")): int(counts[at]) for at in np.argsort(-counts, kind="stable")[:10]
    }
    _, before = np.unique(base.first[base.first != NO_DAY], return_counts=True)
    return {
        "gained": int(gained.sum()),
        "lost": int((~head.has(base.ids)).sum()),
        "gained_rows": int(head.rows[gained].sum()),
        "arrivals": arrivals,
        "usual_day": _usual(counts),
        "usual_day_before": _usual(before),
    }


def _usual(counts: Array) -> float:
    """The median of the days on which anybody comes; 0 where they are too few to call any of them usual."""
    return float(np.median(counts)) if len(counts) >= _WEEK else 0.0
