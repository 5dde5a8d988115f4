# SPDX-License-Identifier: Apache-2.0
"""The annex of an audit report: what our record and the auditor's own file say, in the order of the law's template.

The template is Annex I to Delegated Regulation (EU) 2024/436: sections A to G, then who signs. Each entry says where it
comes from: the record of reviews, the auditor's file, or nowhere yet, and then what the auditor has to add. The public
edition leaves out what names people, changes and repositories, and says which entries it leaves out.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from evidence import VERSION, InputError
from reports import _annex_record as held
from reports._annex_blocks import lines, listed, span, table, text
from reports.engagement import USUAL, Conclusion, opinion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evidence import Json
    from reports.engagement import Engagement, Member, Obligation, Organization

ANNEX_SCHEMA: Final = "countersign/annex/v1"

Edition = Literal["confidential", "public"]
_NAMES: Final = "what names people, changes, repositories or slices of a panel"
_CONCLUSIONS: Final = re.compile(r"C\.[12]|[DE][0-9]+\.1")


@dataclass(slots=True)
class _Writer:
    """Sections and entries as they are written; ``withhold`` are the numbers that the public edition leaves out."""

    public: bool
    withhold: frozenset[str]
    reason: str
    sections: list[dict[str, Json]] = field(default_factory=list)
    numbers: set[str] = field(default_factory=set)

    def section(self, name: str, title: str) -> None:
        self.sections.append({"section": name, "title": title, "entries": []})

    def entry(
        self,
        title: str,
        *,
        record: Sequence[Json] = (),
        auditor: str | Sequence[Json] | None = None,
        ask: str | None = None,
        hide: Literal["", "columns", "record", "all"] = "",
    ) -> None:
        """One entry. ``ask`` is what the auditor has to add while ``auditor`` is None; ``hide`` is never public.

        With "columns" the record's blocks have been made without what names anything.
        """
        section = self.sections[-1]
        number = f"{section['section']}.{len(section['entries']) + 1}"
        self.numbers.add(number)
        said: Sequence[Json] = [text(auditor)] if isinstance(auditor, str) else auditor or ()
        recorded = [{"from": "record", **block} for block in record]
        added = [{"from": "auditor", **block} for block in said]
        shown, why = [*recorded, *added], None
        if self.public and shown and number in self.withhold:
            shown, why = [], self.reason
        elif self.public and hide == "columns" and recorded:
            why = _NAMES
        elif self.public and hide and (recorded or (hide == "all" and added)):
            shown, why = ([] if hide == "all" else added), _NAMES
        section["entries"].append(
            {
                "number": number,
                "title": title,
                "blocks": shown,
                "missing": ask if auditor is None else None,
                "withheld": why,
            }
        )


def annex_document(engagement: Engagement, record: Mapping[str, Any], *, edition: Edition) -> dict[str, Any]:
    """The annex as a document, schema ``countersign/annex/v1``; the same input gives the same document.

    Args:
        engagement: the auditor's own part.
        record: what ``service.annexes.record`` gives of a platform and some days.
        edition: ``confidential``, or ``public`` for the one that may be published.

    Raises:
        InputError: entries are to be withheld without a reason, or by a number that no entry has.
    """
    confidential = engagement.confidential
    if confidential.withhold and confidential.reason is None:
        raise InputError("confidential.withhold names entries, and confidential.reason does not say why: add it")
    obligations = engagement.obligations or USUAL
    whole = opinion(one.conclusion for one in obligations)
    writer = _Writer(edition == "public", frozenset(confidential.withhold), confidential.reason or "")
    _general(writer, engagement, record)
    _organizations(writer, engagement, record)
    _summary(writer, (*obligations, *engagement.commitments), whole, record)
    for number, one in enumerate(obligations, 1):
        writer.section(f"D{number}", f"Findings: {_name(one)}")
        _obligation(writer, one, record)
    for number, one in enumerate(engagement.commitments, 1):
        writer.section(f"E{number}", f"Findings on a commitment: {_name(one)}")
        _obligation(writer, one, record)
    _others(writer, engagement, record)
    _signature(writer, engagement)
    open_ = sorted(number for number in writer.withhold if _CONCLUSIONS.fullmatch(number))
    if open_:
        raise InputError(f"confidential.withhold: {open_[0]} is a conclusion, which is what is published: leave it out")
    unknown = sorted(writer.withhold - writer.numbers)
    if unknown:
        raise InputError(f"confidential.withhold: this annex has no entry {unknown[0]}")
    entries = [entry for section in writer.sections for entry in section["entries"]]
    return {
        "schema": ANNEX_SCHEMA,
        "version": VERSION,
        "edition": edition,
        "platform": record["platform"],
        "from": record["from"],
        "until": record["until"],
        "log": record["log"],
        "opinion": None if whole is None else whole.value,
        "commitments": [
            {"name": _name(one), "opinion": one.conclusion.value if one.conclusion else None}
            for one in engagement.commitments
        ],
        "sections": writer.sections,
        "missing": [entry["number"] for entry in entries if entry["missing"] is not None],
        "withheld": [entry["number"] for entry in entries if entry["withheld"] is not None],
    }


def _general(writer: _Writer, engagement: Engagement, record: Mapping[str, Any]) -> None:
    audited = engagement.audited
    named = (*engagement.obligations, *engagement.commitments)
    scope = f"Reviews on record of changes of {record['platform']}, {record['from']} until {record['until']}."
    writer.section("A", "General information")
    writer.entry("Audited service", auditor=audited.service, ask="the name of the audited service")
    writer.entry("Audited provider", auditor=audited.provider, ask="the name of the provider")
    writer.entry("Address of the audited provider", auditor=audited.address, ask="the provider's address")
    writer.entry("Contact at the provider", auditor=audited.contact, ask="whom to ask there", hide="all")
    writer.entry(
        "Scope of the audit",
        record=[text(scope)],
        auditor=lines(_name(one) for one in named),
        ask="the obligations and commitments that are audited",
    )
    writer.entry("Repositories reviewed", record=listed(record["repositories"]), hide="record")
    writer.entry("Period audited", auditor=span(audited.period_from, audited.period_until), ask="first and last day")
    writer.entry(
        "Time of the audit work", auditor=span(audited.work_from, audited.work_until), ask="first and last day"
    )


def _organizations(writer: _Writer, engagement: Engagement, record: Mapping[str, Any]) -> None:
    each, people = engagement.organizations, record["people"]
    signed = Counter((one["person"], one["organization"]) for each in record["revisions"] for one in each["signoffs"])
    writer.section("B", "Auditing organisations")
    writer.entry(
        "Organisations",
        record=listed(sorted({one["organization"] for one in people}), "Sign-offs on record are by people of:"),
        auditor=lines(f"{one.name}{f', {one.contact}' if one.contact else ''}" for one in each),
        ask="every organisation that audits, with its address",
    )
    writer.entry(
        "The team",
        record=table(
            ("Signed on record", "Organisation", "Sign-offs"),
            [(one["name"], one["organization"], str(signed[one["id"], one["organization"]])) for one in people],
        ),
        auditor=lines(_member(one) for one in engagement.team),
        ask="everybody in the team with organisation, contact and role",
        hide="all",
    )
    writer.entry("Qualifications", auditor=_of_each(each, "qualifications"), ask="what qualifies each, with documents")
    writer.entry(
        "Independence",
        record=held.independence(record, public=writer.public),
        hide="columns",
        auditor=_of_each(each, "independence"),
        ask="each organisation's declaration of interests, and how it meets Art. 37(3) of Regulation (EU) 2022/2065",
    )
    writer.entry("Auditing standards", auditor=_of_each(each, "standards"), ask="those applied, or that none was")
    writer.entry("Quality management", auditor=_of_each(each, "quality_management"), ask="standards, or that none was")


def _summary(
    writer: _Writer, concluded: Sequence[Obligation], whole: Conclusion | None, record: Mapping[str, Any]
) -> None:
    conclusions = [(_name(one), one.conclusion.value if one.conclusion else "to be added") for one in concluded]
    writer.section("C", "Summary of the main findings")
    writer.entry(
        "Audit opinion on the obligations",
        auditor=None if whole is None else whole.value,
        ask="a conclusion on every obligation; one negative makes the whole negative (Art. 8)",
    )
    writer.entry("Conclusions, and opinions on commitments", auditor=table(("On", "Conclusion"), conclusions))
    writer.entry("Reviews on record", record=held.reviews(record))
    writer.entry("What conclusions have to speak to", record=held.to_answer(record))


def _obligation(writer: _Writer, one: Obligation, record: Mapping[str, Any]) -> None:
    """Conclusion, procedures and results of one obligation; the reviews are evidence only where the file says so."""
    known = record if one.recommender else None
    public = writer.public
    writer.entry(
        "Conclusion and why",
        auditor=None
        if one.conclusion is None or one.justification is None
        else f"{one.conclusion.value}: {one.justification}",
        ask="the conclusion (positive, positive with comments, negative, or that none could be reached) and why",
    )
    writer.entry(
        "Criteria and materiality thresholds",
        record=held.criteria(known, public=public) if known else (),
        hide="columns",
        auditor=one.criteria,
        ask="the criteria and thresholds, set before the work (Art. 10), in terms of this obligation",
    )
    writer.entry(
        "Procedures and methods",
        record=held.procedures(known) if known else (),
        auditor=one.procedures,
        ask="the procedures, and why these",
    )
    writer.entry(
        "Changes of procedure during the audit",
        record=held.changes_of_method(known) if known else (),
        auditor=one.changes,
        ask="each change with its reason, or that there was none",
    )
    writer.entry(
        "Results, tests included",
        record=held.results(known, public=public) if known else (),
        hide="columns",
        auditor=one.results,
        ask="what the procedures gave, in terms of this obligation",
    )
    writer.entry(
        "Information relied on as evidence",
        record=held.evidence(known) if known else (),
        auditor=one.evidence,
        ask="what else was relied on: kind, source, period, when collected",
    )
    writer.entry(
        "Level of assurance",
        record=held.assurance(known) if known else (),
        auditor=one.assurance,
        ask="how a reasonable level of assurance was reached",
    )
    writer.entry(
        "What could not be audited",
        record=held.not_inspected(known) if known else (),
        auditor=one.not_audited,
        ask="what could not be, and why, or that there is nothing",
        hide="record",
    )
    writer.entry("Notable changes of the system", record=held.notable_changes(known) if known else (), hide="record")
    writer.entry("Other observations", auditor=one.observations)
    wanted = one.conclusion in {Conclusion.NEGATIVE, Conclusion.POSITIVE_WITH_COMMENTS}
    writer.entry(
        "Recommendations, each with its time",
        auditor=lines(f"{each.text} (within {each.within})" for each in one.recommendations),
        ask="what has to be done, and by when: anything but a positive conclusion needs it" if wanted else None,
    )


def _others(writer: _Writer, engagement: Engagement, record: Mapping[str, Any]) -> None:
    third = engagement.third_parties
    writer.section("F", "Third parties consulted")
    writer.entry("Who and what about", auditor=lines(f"{one.name}: {one.what}" for one in third), ask="each, or nobody")
    writer.section("G", "Other information")
    writer.entry(
        "Rollouts and decisions that do not fit", record=held.incidents(record, public=writer.public), hide="columns"
    )
    writer.entry(
        "The environment of the tests",
        record=held.environment(record),
        ask="how the environment differs from production",
        auditor=engagement.environment,
    )
    writer.entry("Whatever else the auditor has to say", auditor=engagement.other)


def _signature(writer: _Writer, engagement: Engagement) -> None:
    by = engagement.signature
    writer.section("S", "Signature")
    writer.entry("Signed by", auditor=by.name, ask="the name of who answers for the report")
    writer.entry("In the name of", auditor=by.in_the_name_of, ask="the organisation")
    writer.entry("Responsible for", auditor=by.responsible_for, ask="which part of the audit")
    writer.entry("Place", auditor=by.place, ask="where it is signed")
    writer.entry("Day", auditor=None if by.day is None else by.day.isoformat(), ask="when it is signed")


def _name(one: Obligation) -> str:
    return f"{one.article}, {one.title}"


def _member(one: Member) -> str:
    contact = f", {one.contact}" if one.contact else ""
    qualified = f" ({one.qualifications})" if one.qualifications else ""
    return f"{one.name}, {one.organization}{contact}: {one.role}{qualified}"


def _of_each(organizations: Sequence[Organization], field_name: str) -> str | None:
    """One line an organisation; None while one of them says nothing."""
    said = [(one.name, getattr(one, field_name)) for one in organizations]
    return None if any(words is None for _, words in said) else lines(f"{name}: {words}" for name, words in said)
