# SPDX-License-Identifier: Apache-2.0
"""What sign-offs are held to, policy and roots, as it was found when something was logged: an edit by hand shows too.

Both are files of the data folder. Whoever can write there can let a key count for an hour, or a weaker policy, and put
the files back. So the first entry after either was changed is preceded by one that names both, and what they were
before; the files themselves are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evidence import canonical, digest, document_digest, parse_json
from service.arrivals import now
from service.store import write_durably
from signoff import format_time, leaf

if TYPE_CHECKING:
    from evidence import Json
    from service.context import Context

TRUST_LEAF = "trust"
_SCHEMA = "countersign/trust/v1"


def changed(context: Context) -> dict[str, Any] | None:
    """A document that names policy and roots as they are now, both kept; None if they are what was logged last.

    Call `logged` with it once it is in the log.
    """
    contents = {"policy": context.policy.read_bytes(), "roots": context.roots.read_bytes()}
    named = {name: digest(content) for name, content in contents.items()}
    before = parse_json(context.trust.read_bytes(), str(context.trust)) if context.trust.exists() else None
    if before is not None and {name: before.get(name) for name in named} == named:
        return None
    document = {
        "schema": _SCHEMA,
        **named,
        "foundAt": format_time(now()),
        "before": None if before is None else document_digest(before),
    }
    for content in contents.values():
        context.store.put(content)
    context.store.put_json(document)
    return document


def trust_leaf(document: dict[str, Any]) -> dict[str, Json]:
    """The leaf by which such a document is logged."""
    return leaf(TRUST_LEAF, digest=document_digest(document))


def logged(context: Context, document: dict[str, Any]) -> None:
    """Remember that it was logged."""
    write_durably(context.trust, canonical(document), mode=0o644)
