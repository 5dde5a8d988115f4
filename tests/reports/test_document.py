# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evidence import Artifact, Revision, Severity, Snapshot, canonical, document_digest
from reports import grouped, report_document, unknowns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def test_a_revision_and_its_manifest_give_the_same_report(
    manifest: Mapping[str, Any], diff: Callable[..., Any]
) -> None:
    revision = Revision(
        "tiny/ranker",
        Snapshot("1" * 40, "2" * 40, "9" * 64),
        Snapshot("3" * 40, "4" * 40, "5" * 64),
        (Artifact("model", 123456, "6" * 64),),
    )
    document = report_document(revision, diff(), None)
    assert canonical(document) == canonical(report_document(manifest, diff(), None))
    assert document["schema"] == "countersign/report/v1"
    assert document["revision"]["digest"] == revision.digest


def test_evidence_is_named_by_the_digest_of_the_documents(
    manifest: Mapping[str, Any], diff: Callable[..., Any], audit: Callable[..., Any], cell: Callable[..., Any]
) -> None:
    one, two = diff(), audit(cell())
    document = report_document(manifest, one, two)
    assert document["evidence"] == [
        {"name": "diff", "digest": document_digest(one)},
        {"name": "audit", "digest": document_digest(two)},
    ]
    assert document["verdict"] == "pass"


def test_without_an_audit_a_report_is_no_pass(manifest: Mapping[str, Any], diff: Callable[..., Any]) -> None:
    document = report_document(manifest, diff(), None)
    assert document["verdict"] == "inconclusive"
    assert document["unknown"][0]["what"] == "audit"


def test_everything_that_is_not_known_is_listed(
    manifest: Mapping[str, Any], diff: Callable[..., Any], audit: Callable[..., Any], cell: Callable[..., Any]
) -> None:
    probes = [{"name": "trigger", "status": "not-run", "reason": "no ability", "summary": "", "searched": {}}]
    cells = (cell(), cell(slice="a", verdict="inconclusive", reason="too few"), cell(slice="b", verdict="not-run"))
    document = report_document(
        manifest,
        diff(not_analysed=[{"path": "m.bin", "reason": "binary"}]),
        audit(*cells, probes=probes, unsafe=True),
    )
    assert [(item["kind"], item["what"]) for item in document["unknown"]] == [
        ("not-analysed", "m.bin"),
        ("unsafe", "audit"),
        ("not-run", "probe trigger"),
        ("inconclusive", "a for everyone"),
        ("not-run", "b for everyone"),
    ]


def test_findings_are_counted_once_and_worst_first(
    manifest: Mapping[str, Any], diff: Callable[..., Any], audit: Callable[..., Any], finding: Callable[..., Any]
) -> None:
    same = finding()
    worse = finding("Worse", Severity.CRITICAL, key=("other",))
    document = report_document(manifest, diff(same), audit(findings=[same, worse]))
    assert document["counts"]["findings"] == {"info": 0, "low": 0, "medium": 1, "high": 0, "critical": 1}


def test_what_is_not_known_for_one_reason_is_one_line(audit: Callable[..., Any], cell: Callable[..., Any]) -> None:
    cells = [cell(slice=f"s{number:02}", verdict="inconclusive", reason="too few users") for number in range(20)]
    (group,) = grouped(unknowns({}, audit(*cells)))
    assert (len(group.names), group.more, group.reason) == (6, 14, "too few users")
