# SPDX-License-Identifier: Apache-2.0
"""A reviewer's declaration of independence: structured, with an end, and held to the limits of DSA Art. 37(3).

It stands in the roots file under its person, so the administrators who sign the roots vouch that it was made; each
statement names it by digest, so the reviewer signs it with every sign-off.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

from pydantic import Field

from evidence import Digest, InputError, digest
from evidence import canonical as canonical_json
from signoff._strict import Line, StrictModel, Time, parse_time

RELATED_SERVICES = timedelta(days=366)  # twelve months, a leap year's too: no other services to the platform before
CONSECUTIVE_YEARS = 10  # at most so many years of reviews for one platform in a row

Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class Declaration(StrictModel):
    """The declaration as written. ``related_services_ended`` is left out where there never were any."""

    platform: Line
    organization: Line
    text: Line
    related_services_ended: Day | None = None
    no_related_services_until: Day
    reviewing_since: Day
    contingent_fees: bool
    signed_at: Time
    expires_at: Time

    def check(self) -> None:
        """Refuse dates that are none, or that contradict each other.

        Raises:
            InputError: the first of them.
        """
        signed, expires = parse_time(self.signed_at, "signed_at"), parse_time(self.expires_at, "expires_at")
        if expires <= signed:
            raise InputError("declaration: it expires before it is signed")
        for text in (self.related_services_ended, self.no_related_services_until, self.reviewing_since):
            if text is not None:
                _day(text)

    def digest_for(self, person: str) -> Digest:
        """The digest that this person's statements name it by."""
        return digest(canonical_json({"person": person, **self.model_dump(mode="json", exclude_none=True)}))

    def conflict(self, organization: str, moment: datetime) -> str | None:
        """Why somebody of that organisation is not independent at that time by this declaration, or None.

        What is *not* checked: that what is declared is true.
        """
        today, began = moment.date(), _day(self.reviewing_since)
        years = today.year - began.year - ((today.month, today.day) < (began.month, began.day))
        before = None if self.related_services_ended is None else today - _day(self.related_services_ended)
        after = _day(self.no_related_services_until) - today
        wrong = (
            (self.organization != organization, f"it is for {self.organization}"),
            (moment < parse_time(self.signed_at, "signed_at"), "it was not signed yet"),
            (moment >= parse_time(self.expires_at, "expires_at"), f"it expired at {self.expires_at}"),
            (self.contingent_fees, "it declares fees that depend on the outcome"),
            (
                before is not None and before < RELATED_SERVICES,
                f"other services to the platform ended on {self.related_services_ended}, within twelve months",
            ),
            (
                after < RELATED_SERVICES,
                f"it renounces other services until {self.no_related_services_until} only, not for twelve months",
            ),
            (years >= CONSECUTIVE_YEARS, f"reviewing since {self.reviewing_since}, {CONSECUTIVE_YEARS} years in a row"),
        )
        return next((reason for holds, reason in wrong if holds), None)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"declaration: {text} is no day") from error
