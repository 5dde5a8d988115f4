# SPDX-License-Identifier: Apache-2.0
"""The annex as one HTML file that needs nothing else: no script, no request, the same bytes for the same document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reports.rendering import standalone

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAID: Final = {"record": "from the record of reviews", "auditor": "by the auditor"}


@dataclass(frozen=True, slots=True)
class AnnexBlock:
    """A paragraph, list or table. ``origin`` is the class of where it comes from, ``said`` the same in words."""

    origin: str
    said: str
    paragraphs: tuple[str, ...]
    items: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class AnnexEntry:
    """One numbered entry; ``missing`` and ``withheld`` are empty where nothing is."""

    number: str
    title: str
    blocks: tuple[AnnexBlock, ...]
    missing: str
    withheld: str


@dataclass(frozen=True, slots=True)
class AnnexSection:
    """A section of the template."""

    name: str
    title: str
    entries: tuple[AnnexEntry, ...]


@dataclass(frozen=True, slots=True)
class AnnexView:
    """What ``annex.html`` is given."""

    platform: str
    since: str
    until: str
    edition: str
    opinion: str
    commitments: tuple[tuple[str, str], ...]
    checkpoint: str
    sections: tuple[AnnexSection, ...]
    missing: tuple[str, ...]
    withheld: tuple[str, ...]
    version: str


def annex_view(document: Mapping[str, Any]) -> AnnexView:
    """The annex document to show."""
    return AnnexView(
        platform=document["platform"],
        since=document["from"],
        until=document["until"],
        edition=document["edition"],
        opinion=document["opinion"] or "not given yet",
        commitments=tuple((one["name"], one["opinion"] or "not given yet") for one in document["commitments"]),
        checkpoint="" if document["log"] is None else document["log"]["checkpoint"],
        sections=tuple(
            AnnexSection(one["section"], one["title"], tuple(_entry(each) for each in one["entries"]))
            for one in document["sections"]
        ),
        missing=tuple(document["missing"]),
        withheld=tuple(document["withheld"]),
        version=document["version"],
    )


def annex_html(document: Mapping[str, Any]) -> str:
    """The annex document as a page."""
    return standalone("annex.html", annex_view(document), "annex.css")


def _entry(entry: Mapping[str, Any]) -> AnnexEntry:
    blocks = tuple(_block(block) for block in entry["blocks"])
    return AnnexEntry(entry["number"], entry["title"], blocks, entry["missing"] or "", entry["withheld"] or "")


def _block(block: Mapping[str, Any]) -> AnnexBlock:
    return AnnexBlock(
        origin=block["from"],
        said=_SAID[block["from"]],
        paragraphs=tuple(block["text"].splitlines()),
        items=tuple(block.get("items", ())),
        columns=tuple(block.get("columns", ())),
        rows=tuple(tuple(row) for row in block.get("rows", ())),
    )
