# SPDX-License-Identifier: Apache-2.0
"""Panels: the users, items, labels and margins that an audit uses. The format is in ``docs`` and ``formats``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from behavior._attributes import Attributes, attributes
from behavior._ids import RowNumbers
from behavior._label_documents import LearntLabel, read_labels
from behavior._labels import Cohort, Slice, build_cohorts, build_match, build_slices, counted_popularity
from behavior._panel_toml import PanelToml, read_panel_toml
from behavior._tables import find_table, read_table, require_known, require_unique, table_digest
from evidence import Digest, PanelError, document_digest

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from scipy import sparse

PANEL_SCHEMA = "countersign/panel/v1"


@dataclass(frozen=True, eq=False)
class Panel:
    """A panel, read and checked.

    ``users`` and ``items`` are in the order of their files; everywhere in this room a user or item is its row number.
    ``membership`` is items x slices, degrees in [0, 1]. ``match`` holds one code an item (see ``match_on``).
    ``labels`` are the label columns that were learnt from text, with what is known of their quality.
    Equality is identity: compare ``digest``.
    """

    toml: PanelToml
    users: pl.DataFrame
    items: pl.DataFrame
    histories: pl.DataFrame
    requests: pl.DataFrame
    slices: tuple[Slice, ...]
    membership: sparse.csr_array
    cohorts: tuple[Cohort, ...]
    match: np.ndarray[Any, np.dtype[np.int64]]
    labels: tuple[LearntLabel, ...]
    digest: Digest

    @property
    def name(self) -> str:
        """The panel's name."""
        return self.toml.name

    @property
    def k(self) -> int:
        """How many items people see: impact is judged here."""
        return self.toml.k

    @property
    def depth(self) -> int:
        """How deep slates are recorded: declared, or 5 k and at least 100; never more than there are items."""
        return min(self.toml.depth or max(5 * self.k, 100), self.items.height)

    @cached_property
    def user_rows(self) -> dict[str, int]:
        """Row number of every user id."""
        return {name: row for row, name in enumerate(self.users["user_id"])}

    @cached_property
    def user_numbers(self) -> RowNumbers:
        """Row numbers of whole columns of user ids."""
        return RowNumbers(self.users["user_id"])

    @cached_property
    def item_numbers(self) -> RowNumbers:
        """Row numbers of whole columns of item ids."""
        return RowNumbers(self.items["item_id"])

    @cached_property
    def item_rows(self) -> dict[str, int]:
        """Row number of every item id."""
        return {name: row for row, name in enumerate(self.items["item_id"])}

    @cached_property
    def item_attributes(self) -> Attributes:
        """The items' columns by value and by band."""
        return attributes(self.items, without="item_id")

    @cached_property
    def user_attributes(self) -> Attributes:
        """The users' columns by value and by band."""
        return attributes(self.users, without="user_id")

    @cached_property
    def popularity(self) -> Attributes:
        """Bands of how many events of the histories items have, where no column of theirs says how popular they are."""
        if "popularity" in self.items.columns:
            return Attributes((), ())
        counted = counted_popularity(self.items, self.histories).alias("popularity")
        return attributes(counted.to_frame(), without="item_id")

    def summary(self) -> dict[str, Any]:
        """The panel as it stands in an audit document: no identifiers, no attributes."""
        return {
            "name": self.name,
            "digest": self.digest,
            "users": self.users.height,
            "items": self.items.height,
            "k": self.k,
            "depth": self.depth,
            "slices": len(self.slices),
            "cohorts": len(self.cohorts),
        }


def read_panel(path: Path) -> Panel:
    """Read a panel directory with full validation.

    The digest is over the content: ``panel.toml`` as parsed with its defaults, and each table's values; items and
    users in order of their ids, histories and requests in order within each user. File format, order of rows, column
    order, comments and files that are no part of a panel do not change it.

    Raises:
        PanelError: one line that names file, column and value.
    """
    if not path.is_dir():
        raise PanelError(f"{path}: no such directory; a panel is a directory with panel.toml, items and users")
    toml = read_panel_toml(path / "panel.toml")
    items, items_file = _required(path, "items", ["item_id"])
    users, users_file = _required(path, "users", ["user_id"])
    histories, histories_file = _required(path, "histories", ["user_id", "item_id"])
    for frame, column, file in ((items, "item_id", items_file), (users, "user_id", users_file)):
        if not frame.height:
            raise PanelError(f"{file}: no rows")
        require_unique(frame, column, file)
    require_known(histories, "user_id", histories_file, users["user_id"], users_file)
    require_known(histories, "item_id", histories_file, items["item_id"], items_file)
    if toml.k > items.height:
        raise PanelError(f"panel.toml: k = {toml.k}, but {items_file} has {items.height} items")
    requests = _requests(path, toml, users, users_file)
    labels = read_labels(path, toml, items, items_file)
    if toml.exposure.source is not None and toml.exposure.source not in items.columns:
        raise PanelError(f"{items_file}: no column {toml.exposure.source!r} (exposure.source in panel.toml)")
    slices, membership = build_slices(toml, items, items_file)
    return Panel(
        toml=toml,
        users=users,
        items=items,
        histories=histories,
        requests=requests,
        slices=slices,
        membership=membership,
        cohorts=build_cohorts(toml, users, users_file),
        match=build_match(toml.exposure.match_on, items, histories, items_file),
        labels=labels,
        digest=_digest(toml, labels, items=items, users=users, histories=histories, requests=requests),
    )


def _required(folder: Path, stem: str, ids: list[str]) -> tuple[pl.DataFrame, str]:
    path = find_table(folder, stem)
    if path is None:
        raise PanelError(f"{folder}: no {stem}.parquet (or .csv, .tsv)")
    return read_table(path, ids), path.name


def _requests(folder: Path, toml: PanelToml, users: pl.DataFrame, users_file: str) -> pl.DataFrame:
    """One row a request: ``user_id`` and the context columns; by default one a user, context from ``[context]``."""
    for key, column in toml.context.items():
        if column not in users.columns:
            raise PanelError(f"{users_file}: no column {column!r} (context.{key} in panel.toml)")
    context = users.select("user_id", *(pl.col(column).alias(key) for key, column in toml.context.items()))
    path = find_table(folder, "requests")
    if path is None:
        return context
    declared = read_table(path, ["user_id"])
    require_known(declared, "user_id", path.name, users["user_id"], users_file)
    if unasked := users.height - declared["user_id"].n_unique():
        missing = users.filter(~pl.col("user_id").is_in(declared["user_id"].implode()))["user_id"]
        raise PanelError(f"{path.name}: no request for user {missing[0]!r} ({unasked} such)")
    extra = [key for key in toml.context if key not in declared.columns]
    return declared.join(context.select("user_id", *extra), on="user_id", how="left", maintain_order="left")


def _digest(toml: PanelToml, labels: tuple[LearntLabel, ...], **tables: pl.DataFrame) -> Digest:
    keys = {"items": "item_id"}
    ordered = {stem: frame.sort(keys.get(stem, "user_id"), maintain_order=True) for stem, frame in tables.items()}
    content: dict[str, Any] = {
        "schema": PANEL_SCHEMA,
        "toml": toml.model_dump(mode="json", exclude=None if labels else {"labels"}),
        "tables": {stem: table_digest(frame) for stem, frame in ordered.items()},
    }
    if labels:
        content["labels"] = {label.column: label.digest for label in labels}
    return document_digest(content)
