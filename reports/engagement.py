# SPDX-License-Identifier: Apache-2.0
"""The auditor's own part of an audit report: what no record of reviews can know, as a TOML file.

Who audits whom and why they may, what they conclude on each obligation, what they recommend and by when. What is left
out is no answer: the annex marks it as the auditor's to add.
"""

from __future__ import annotations

import tomllib
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from evidence import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LIMIT = 1 << 20

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]


class Conclusion(StrEnum):
    """What an auditor concludes, worst first: Delegated Regulation (EU) 2024/436, Art. 8.

    That none can be reached is to be explained (Regulation (EU) 2022/2065, Art. 37(5)).
    """

    NEGATIVE = "negative"
    NONE_POSSIBLE = "none could be reached"
    POSITIVE_WITH_COMMENTS = "positive with comments"
    POSITIVE = "positive"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Audited(_Part):
    """The service and its provider."""

    service: _Text | None = None
    provider: _Text | None = None
    address: _Text | None = None
    contact: _Text | None = None
    period_from: date | None = None
    period_until: date | None = None
    work_from: date | None = None
    work_until: date | None = None


class Organization(_Part):
    """An organisation that audits, or one of several."""

    name: _Text
    contact: _Text | None = None
    qualifications: _Text | None = None
    independence: _Text | None = None
    standards: _Text | None = None
    quality_management: _Text | None = None


class Member(_Part):
    """Somebody of the team."""

    name: _Text
    organization: _Text
    contact: _Text | None = None
    role: _Text
    qualifications: _Text | None = None


class Recommendation(_Part):
    """An operational recommendation and the time for it."""

    text: _Text
    within: _Text


class Obligation(_Part):
    """An audited obligation or commitment. ``recommender``: whether the reviews on record are evidence for it."""

    article: _Text
    title: _Text
    recommender: bool = False
    conclusion: Conclusion | None = Field(default=None, strict=False)
    justification: _Text | None = None
    criteria: _Text | None = None
    procedures: _Text | None = None
    changes: _Text | None = None
    results: _Text | None = None
    evidence: _Text | None = None
    assurance: _Text | None = None
    not_audited: _Text | None = None
    observations: _Text | None = None
    recommendations: tuple[Recommendation, ...] = Field(default=(), strict=False)


class ThirdParty(_Part):
    """Who was asked besides."""

    name: _Text
    what: _Text


class Signature(_Part):
    """Who answers for the report."""

    name: _Text | None = None
    in_the_name_of: _Text | None = None
    responsible_for: _Text | None = None
    place: _Text | None = None
    day: date | None = None


class Confidential(_Part):
    """Entries by number that the public edition leaves out besides what it always does, and why they may be."""

    withhold: tuple[_Text, ...] = Field(default=(), strict=False)
    reason: _Text | None = None


class Engagement(_Part):
    """The whole file."""

    audited: Audited = Audited()
    organizations: tuple[Organization, ...] = Field(default=(), strict=False)
    team: tuple[Member, ...] = Field(default=(), strict=False)
    obligations: tuple[Obligation, ...] = Field(default=(), strict=False)
    commitments: tuple[Obligation, ...] = Field(default=(), strict=False)
    third_parties: tuple[ThirdParty, ...] = Field(default=(), strict=False)
    environment: _Text | None = None
    other: _Text | None = None
    signature: Signature = Signature()
    confidential: Confidential = Confidential()


# What there is on recommenders in Regulation (EU) 2022/2065, where the auditor names no obligation.
USUAL = (
    Obligation(article="Art. 34(1), (2)", title="risk assessment: recommender systems", recommender=True),
    Obligation(article="Art. 35(1)(d)", title="testing and adapting recommender systems", recommender=True),
    Obligation(article="Art. 27", title="what is told of the parameters of recommender systems"),
    Obligation(article="Art. 38", title="an option that is not based on profiling"),
)


def read_engagement(path: Path) -> Engagement:
    """Read the auditor's file.

    Raises:
        InputError: it cannot be read, is not TOML, or holds a key that is unknown, of another type or empty.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > _LIMIT:
        raise InputError(f"{path}: {len(data)} bytes, over the limit of {_LIMIT}")
    try:
        return Engagement.model_validate(tomllib.loads(data.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {where}: {first['msg']}") from error


def opinion(conclusions: Iterable[Conclusion | None]) -> Conclusion | None:
    """The opinion of conclusions (Art. 8): the worst of them; None while one is missing, unless one is negative."""
    given = set(conclusions)
    if Conclusion.NEGATIVE not in given and None in given:
        return None
    return next((one for one in Conclusion if one in given), None)
