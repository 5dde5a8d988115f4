# SPDX-License-Identifier: Apache-2.0
"""Who had a hand in a revision: its commits, and who pushed, launched the training or supplied artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence import CountersignError
from service import trust
from signoff import fold_email

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evidence import Digest
    from service.context import Context


def makers(context: Context, made_by: Digest | None, people: Iterable[str], *, unknown: bool = True) -> set[str]:
    """Those of these people who had a hand in a revision; none once what says so was removed, after its time.

    Args:
        context: roots and evidence store.
        made_by: the digest of the list of people that was kept with the revision.
        people: by their ids in the roots.
        unknown: whether those of whom nobody can say, without an address in the roots, are among them.
    """
    known, people = trust.roots(context), set(people)
    try:
        made = context.store.get_json(made_by) if made_by is not None else []
    except CountersignError:
        return set()
    emails = {fold_email(one["email"]) for one in made if one["email"]}
    named = (known.named(one["name"], one["email"]) for one in made)
    found = {who.id for who in named if who is not None} & people
    for one in people:
        person = known.person(one)
        addresses = person.emails if person is not None else frozenset()
        if addresses & emails or (unknown and not addresses):
            found.add(one)
    return found
