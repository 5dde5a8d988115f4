# SPDX-License-Identifier: Apache-2.0
"""The annex of an audit report: whose words stand where, what is missing, what the public edition may say."""

from __future__ import annotations

import copy
import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from evidence import InputError
from reports import Conclusion, Engagement, annex_document, annex_html, opinion, read_engagement

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "<script>alert(1)</script>\u202e javascript:alert(2)"
WHOLE = """
[audited]
service = "The feed"
provider = "Provider Ltd"
address = "1 Street, Town"
contact = "somebody@provider.example"
period_from = 2026-01-01
period_until = 2026-12-31
work_from = 2027-01-04
work_until = 2027-02-26
[[organizations]]
name = "Independent"
contact = "2 Street, Town"
qualifications = "Twenty years of audits."
independence = "Declared on 2026-01-02."
standards = "ISAE 3000"
quality_management = "ISQM 1"
[[team]]
name = "Ada Auditor"
organization = "Independent"
role = "lead"
[[obligations]]
article = "Art. 35(1)(d)"
title = "testing and adapting recommenders"
recommender = true
conclusion = "positive"
justification = "Every change was reviewed."
criteria = "No slice beyond its margin."
procedures = "Each review was read again."
changes = "None."
results = "Nothing to add."
evidence = "The log."
assurance = "All of them were read."
not_audited = "Nothing."
observations = "None."
[[third_parties]]
name = "A researcher"
what = "labels"
[signature]
name = "Ada Auditor"
in_the_name_of = "Independent"
responsible_for = "all of it"
place = "Town"
day = 2027-02-26
"""
ENVIRONMENT = 'environment = "As in production, but for load."\n'


def _signoff(**changes: Any) -> dict[str, Any]:
    return {
        "person": "secret-ada",
        "name": "Secret Ada",
        "organization": "Independent",
        "role": "reviewer",
        "decision": "APPROVED",
        "signed": "2026-05-02T10:00:00Z",
        "expires": "2026-08-02T10:00:00Z",
        "log_index": 41,
        "carried": None,
        "superseded": False,
        "meaning": "secret words",
        "conditions": [],
        "not_inspected": ["secret part"],
        "override": None,
        "expedited": None,
        "policy": f"sha256:{'e' * 64}",
        "declaration": f"sha256:{'d' * 64}",
        "not_independent": None,
        "files": 4,
        "viewed": 3,
        "waived": 1,
        "findings": 2,
        "answered": 2,
        **changes,
    }


def _revision(**changes: Any) -> dict[str, Any]:
    return {
        "change": 1,
        "revision": 1,
        "repository": "secret/repository",
        "title": "Secret title",
        "target": "refs/heads/main",
        "head_commit": "5ec4e7" * 6 + "5ec4",
        "digest": f"sha256:{'a' * 64}",
        "state": "signed",
        "verdict": "pass",
        "error": None,
        "received": "2026-05-01T10:00:00Z",
        "evidence": [
            {"name": "diff", "digest": f"sha256:{'b' * 64}", "made": "2026-05-01T10:01:00Z", "logged": True},
            {"name": "audit", "digest": f"sha256:{'c' * 64}", "made": "2026-05-01T10:02:00Z", "logged": False},
        ],
        "findings": {"high": 2, "low": 1},
        "unknown": {"not-analysed": 3},
        "panel": {"name": "secret-panel", "digest": f"sha256:{'f' * 64}"},
        "probes": {"exposure": "run", "quality": "not-run"},
        "cells": {"equivalent": 12},
        "margins": [{"slice": "secret-slice", "margin": 1.1}, {"slice": "secret-other", "margin": 1.25}],
        "unsafe": False,
        "version": "0.1.0",
        "signoffs": [_signoff()],
        "build": None,
        **changes,
    }


def _record(*revisions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "platform": "tiny",
        "from": "2026-01-01",
        "until": "2026-12-31",
        "repositories": ["secret/repository"],
        "unfinished": 0,
        "earlier_signoffs": 0,
        "log": {"size": 42, "checkpoint": "example.org/log\n42\nAAAA\n"},
        "revisions": list(revisions or (_revision(),)),
        "people": [{"id": "secret-ada", "name": "Secret Ada", "organization": "Independent", "declaration": None}],
        "incidents": [
            {"kind": "undecided", "detail": "secret detail", "log_index": 44, "opened": "2026-06-01T00:00:00Z",
             "settled": None}
        ],
        **changes,
    }  # fmt: skip


def _read(tmp_path: Path, text: str = WHOLE) -> Any:
    path = tmp_path / "engagement.toml"
    path.write_text(text, encoding="utf-8")
    return read_engagement(path)


def _entries(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["number"]: entry for section in document["sections"] for entry in section["entries"]}


def _words(entry: dict[str, Any]) -> str:
    return json.dumps(entry["blocks"])


@pytest.mark.parametrize("edition", ["confidential", "public"])
@pytest.mark.parametrize("whole", [True, False])
def test_it_follows_its_schema_and_is_the_same_bytes_again(
    root: Path, tmp_path: Path, edition: Any, *, whole: bool
) -> None:
    engagement = _read(tmp_path, ENVIRONMENT + WHOLE) if whole else Engagement()
    document = annex_document(engagement, _record(), edition=edition)
    schema = json.loads((root / "docs/schemas/annex.schema.json").read_text("utf-8"))
    jsonschema.validate(document, schema, jsonschema.Draft202012Validator)
    again = annex_document(engagement, copy.deepcopy(_record()), edition=edition)
    assert json.dumps(document) == json.dumps(again)
    assert annex_html(document) == annex_html(again)


def test_sections_stand_in_the_order_of_the_law(tmp_path: Path) -> None:
    text = WHOLE + '[[commitments]]\narticle = "Code of practice"\ntitle = "on disinformation"\n'
    document = annex_document(_read(tmp_path, text), _record(), edition="confidential")
    assert [section["section"] for section in document["sections"]] == ["A", "B", "C", "D1", "E1", "F", "G", "S"]


def test_nothing_is_missing_where_the_auditor_has_said_all(tmp_path: Path) -> None:
    document = annex_document(_read(tmp_path, ENVIRONMENT + WHOLE), _record(), edition="confidential")
    assert document["missing"] == []
    assert document["opinion"] == "positive"


@pytest.mark.parametrize("line", [line for line in WHOLE.splitlines() if " = " in line])
def test_whatever_the_auditor_leaves_out_is_asked_for(tmp_path: Path, line: str) -> None:
    optional = ("observations", "recommender", 'contact = "2 Street')
    text = ENVIRONMENT + WHOLE.replace(f"{line}\n", "", 1)
    try:
        engagement = _read(tmp_path, text)
    except InputError as error:
        assert line.split(" = ", maxsplit=1)[0] in str(error)  # noqa: PT017 - a name that has to be there
        return
    missing = annex_document(engagement, _record(), edition="confidential")["missing"]
    assert bool(missing) != line.startswith(optional)


def test_each_block_says_whose_words_it_is_and_a_machine_concludes_nothing() -> None:
    document = annex_document(Engagement(), _record(_revision(verdict="fail")), edition="confidential")
    assert document["opinion"] is None
    entries = _entries(document)
    blocks = {number: {block["from"] for block in entry["blocks"]} for number, entry in entries.items()}
    assert [number for number, origins in blocks.items() if "auditor" in origins] == ["C.2"]
    assert entries["C.2"]["blocks"][0]["rows"][0][1] == "to be added"
    assert "C.1" in document["missing"]
    assert entries["D1.1"]["blocks"] == []


def test_the_record_speaks_only_where_it_is_evidence(tmp_path: Path) -> None:
    text = WHOLE.replace("recommender = true\n", "")
    entries = _entries(annex_document(_read(tmp_path, text), _record(), edition="confidential"))
    numbers = [number for number in entries if number.startswith("D1.")]
    assert {block["from"] for number in numbers for block in entries[number]["blocks"]} == {"auditor"}


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ([], None),
        ([None], None),
        (["positive"], "positive"),
        (["positive", None], None),
        (["positive", "positive with comments"], "positive with comments"),
        (["negative", "positive"], "negative"),
        (["negative", None], "negative"),
        (["positive with comments", None], None),
        (["none could be reached", "positive"], "none could be reached"),
        (["none could be reached", "negative"], "negative"),
        (["none could be reached", None], None),
    ],
)
def test_one_negative_makes_the_whole_negative(given: list[str | None], whole: str | None) -> None:
    for order in itertools.permutations(given):
        found = opinion(None if one is None else Conclusion(one) for one in order)
        assert found == (None if whole is None else Conclusion(whole))


@pytest.mark.parametrize("conclusion", ["negative", "positive with comments"])
def test_anything_but_positive_needs_recommendations_with_their_time(tmp_path: Path, conclusion: str) -> None:
    text = ENVIRONMENT + WHOLE.replace('conclusion = "positive"', f'conclusion = "{conclusion}"')
    assert annex_document(_read(tmp_path, text), _record(), edition="confidential")["missing"] == ["D1.11"]
    advice = '[[obligations.recommendations]]\ntext = "Test again."\nwithin = "a month"\n[[third_parties]]'
    given = annex_document(
        _read(tmp_path, text.replace("[[third_parties]]", advice)), _record(), edition="confidential"
    )
    assert given["missing"] == []
    assert "Test again. (within a month)" in _words(_entries(given)["D1.11"])


def test_the_public_edition_names_nobody_and_says_what_it_leaves_out() -> None:
    revision = _revision(
        signoffs=[_signoff(override="secret reason", conditions=["secret condition"])], cells={"amplified": 1}
    )
    declared = {
        "platform": "tiny",
        "organization": "Independent",
        "text": "secret text",
        "signed_at": "2026-01-01T00:00:00Z",
        "expires_at": "2027-01-01T00:00:00Z",
        "digest": f"sha256:{'d' * 64}",
    }
    record = _record(revision, _revision(digest=None, verdict=None, error="raised", panel=None, signoffs=[]))
    for people in (record["people"], [record["people"][0] | {"declaration": declared}]):
        confidential, public = (
            annex_document(Engagement(), record | {"people": people}, edition=edition)
            for edition in ("confidential", "public")
        )
        assert "secret" in json.dumps(confidential)
        for shown in (json.dumps(public), annex_html(public).partition("<body")[2]):
            for word in ("secret", "5ec4e7", "amplified", "1.25"):
                assert word not in shown.lower(), word
        hidden = {f"D{number}.{entry}" for number in (1, 2) for entry in (2, 5, 8, 9)}
        assert set(public["withheld"]) == {"A.6", "B.2", "B.4", "G.1", *hidden}
        assert confidential["withheld"] == []
        assert f"sha256:{'a' * 64}" in _words(_entries(public)["D1.5"])


def test_an_auditor_withholds_entries_with_a_reason(tmp_path: Path) -> None:
    text = WHOLE + '[confidential]\nwithhold = ["A.3", "D1.7"]\nreason = "security"\n'
    public = annex_document(_read(tmp_path, text), _record(), edition="public")
    entries = _entries(public)
    for number in ("A.3", "D1.7"):
        assert entries[number]["blocks"] == []
        assert entries[number]["withheld"] == "security"
        assert number in public["withheld"]
    assert _entries(annex_document(_read(tmp_path, text), _record(), edition="confidential"))["A.3"]["blocks"]
    # The record's part of "what could not be audited" is in reviewers' words; the auditor's own part is shown.
    assert [block["from"] for block in entries["D1.8"]["blocks"]] == ["auditor"]


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ('[confidential]\nwithhold = ["A.3"]\n', "confidential.reason does not say why"),
        ('[confidential]\nwithhold = ["C.1"]\nreason = "x"\n', "C.1 is a conclusion"),
        ('[confidential]\nwithhold = ["D1.1"]\nreason = "x"\n', "D1.1 is a conclusion"),
        ('[confidential]\nwithhold = ["Z.1"]\nreason = "x"\n', "this annex has no entry Z.1"),
    ],
)
def test_what_cannot_be_withheld_is_said(tmp_path: Path, more: str, complaint: str) -> None:
    with pytest.raises(InputError, match=re.escape(complaint)):
        annex_document(_read(tmp_path, WHOLE + more), _record(), edition="public")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = [", "not valid TOML"),
        ("surprise = 1", "surprise: Extra inputs"),
        ("[audited]\nservice = 3", "audited.service: Input should be a valid string"),
        ('[audited]\nservice = " "', "audited.service: String should have at least 1 character"),
        ('[audited]\nperiod_from = "today"', "audited.period_from: Input should be a valid date"),
        (WHOLE.replace('"positive"', '"rather good"'), "obligations.0.conclusion: Input should be 'negative'"),
        ("[[obligations]]\ntitle = 'x'", "obligations.0.article: Field required"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"engagement.toml: {complaint}")) as caught:
        _read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_and_no_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "engagement.toml"
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_engagement(path)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="not UTF-8 at byte 0"):
        read_engagement(path)
    path.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(InputError, match="over the limit"):
        read_engagement(path)


def test_what_a_conclusion_has_to_speak_to_is_counted() -> None:
    by = _signoff(
        override="why",
        expedited="why",
        conditions=["one"],
        decision="APPROVED_WITH_CONDITIONS",
        carried=43,
        not_independent="it expired",
    )
    build = {"recipe": f"sha256:{'9' * 64}", "number": 7, "log_index": 50, "outside": None}
    record = _record(
        _revision(signoffs=[by], unsafe=True),
        _revision(error="raised", verdict=None, signoffs=[]),
        _revision(state="superseded", verdict=None, signoffs=[], build=build),
        _revision(state="outside", verdict=None, digest=None, signoffs=[]),
        unfinished=2,
        earlier_signoffs=3,
    )
    entries = _entries(annex_document(Engagement(), record, edition="confidential"))
    for line in (
        "1 revision approved although the review did not pass",
        "1 revision approved in the expedited lane",
        "1 revision approved with conditions",
        "1 revision approved by somebody whose declaration of independence did not hold",
        "1 revision with votes carried over",
        "1 revision countersigned by a machine under a recipe",
        "1 revision run outside the sandbox",
        "1 revision that could not be reviewed",
        "1 incident, 1 of them open",
    ):
        assert line in _words(entries["C.4"])
    results = _words(entries["D1.5"])
    for words in (
        "log entry 41, carried over by entry 43",
        "build 7 countersigned under a recipe, log entry 50",
        "could not be reviewed",
        "superseded before its review had ended",
        "outside of what is reviewed",
        "2 high, 1 low",
    ):
        assert words in results
    assert "it expired (1 sign-off)" in _words(entries["B.4"])
    assert "2 reviews of this period had not ended" in _words(entries["C.3"])
    assert "3 sign-offs of this period, on revisions that had arrived before it" in _words(entries["C.3"])
    replaced = _record(_revision(signoffs=[by | {"superseded": True}]), people=[], incidents=[])
    assert "Nothing on record" in _words(
        _entries(annex_document(Engagement(), replaced, edition="confidential"))["C.4"]
    )


def test_a_commitment_has_an_opinion_of_its_own(tmp_path: Path) -> None:
    text = WHOLE + '[[commitments]]\narticle = "Code"\ntitle = "on disinformation"\nconclusion = "negative"\n'
    document = annex_document(_read(tmp_path, text), _record(), edition="confidential")
    assert document["opinion"] == "positive"
    assert document["commitments"] == [{"name": "Code, on disinformation", "opinion": "negative"}]
    page = annex_html(document)
    assert "Opinion on the obligations: positive" in page
    assert "Opinion on Code, on disinformation: <b>negative</b>" in page


def test_a_change_of_method_within_the_period_is_disclosed() -> None:
    def method(*versions: str) -> str:
        record = _record(*(_revision(version=one) for one in versions))
        return _words(_entries(annex_document(Engagement(), record, edition="confidential"))["D1.4"])

    assert "Nothing of these changed" in method("0.1.0", "0.1.0")
    assert "What changed within the period" in method("0.1.0", "0.2.0")


def test_a_period_without_reviews_says_so() -> None:
    record = _record(people=[], incidents=[], repositories=[], log=None) | {"revisions": []}
    document = annex_document(Engagement(), record, edition="confidential")
    assert "No review in this period" in _words(_entries(document)["C.3"])
    assert annex_html(document)


def test_hostile_words_are_shown_inert() -> None:
    record = _record(_revision(title=HOSTILE, repository=HOSTILE, signoffs=[_signoff(not_inspected=[HOSTILE])]))
    record["repositories"], record["people"][0]["name"], record["platform"] = [HOSTILE], HOSTILE, HOSTILE
    page = annex_html(annex_document(Engagement(), record, edition="confidential"))
    assert "<script" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page


def test_the_file_in_the_documentation_can_be_used_and_has_every_key(root: Path, tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (root / "docs/annex.md").read_text("utf-8"), re.DOTALL)
    written = _read(tmp_path, example)
    assert all(getattr(written, name) for name in type(written).model_fields if name != "commitments")
    for part in (written.audited, *written.organizations, *written.team, *written.obligations, *written.third_parties):
        assert all(getattr(part, name) for name in type(part).model_fields)
    assert written.signature.day
