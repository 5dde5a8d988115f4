# SPDX-License-Identifier: Apache-2.0
"""Who supplied the artifacts of a revision: whose own key signed the statement of where one comes from.

Nobody approves what they vouch for already. A key of a build system is nobody's, and names nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evidence import InputError
from service import comparing, trust
from signoff import PublicKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from service.context import Context
    from service.progress import Job


def suppliers(context: Context, job: Job, documents: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """The people of the roots, as (id, ""), whose key signed a statement of provenance that verified.

    Args:
        context: the data folder.
        job: the revision.
        documents: its diff and its artifacts document, as far as they are there.

    Raises:
        InputError: the keys that statements have to verify with cannot be read any more.
        PolicyError: the roots cannot be used.
    """
    keys = comparing.keys(context, job)
    if keys is None:
        return set()
    signed = {name for document in documents for one in _statements(document) for name in one["signed_by"]}
    held = {identity for name in signed & keys.lines.keys() if (identity := _identity(keys.lines[name])) is not None}
    return {
        (person.id, "") for person in trust.roots(context).people for entry in person.keys if entry.key.identity in held
    }


def _statements(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from document.get("provenance", ())
    for one in document.get("artifacts", ()):
        yield from (one.get("model") or {}).get("provenance", ())


def _identity(line: str) -> str | None:
    try:
        return PublicKey.from_line(line).identity
    except InputError:
        return None  # of a kind that nobody signs off with
