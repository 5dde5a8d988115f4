# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from evidence import Severity
from reports import report_document, report_html, report_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Elements(HTMLParser):
    """Every element with its attributes, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def html(
    manifest: Mapping[str, Any], diff: Callable[..., Any], audit: Callable[..., Any], cell: Callable[..., Any],
    finding: Callable[..., Any], patch: Callable[..., Any], hostile: str,
) -> str:  # fmt: skip
    document = report_document(
        manifest,
        diff(finding(hostile, Severity.HIGH, detail=hostile, evidence={"old": hostile, "names": [hostile]}),
             not_analysed=[{"path": hostile, "reason": hostile}], verdict="fail"),
        audit(cell(), cell(slice=hostile, verdict="amplified", ratio=1.5), verdict="fail"),
        title=hostile,
    )  # fmt: skip
    return report_html(document, [patch("ranker.py", "a = 1\nb = 8.0\n", f"a = 1\nb = 20.0  # {hostile}\n")])


def test_the_report_needs_nothing_else(html: str) -> None:
    for tag, attributes in Elements(html).found:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
        assert not [
            name for name in attributes if name.startswith("on") or name in {"style", "src", "srcset", "action"}
        ]
        assert (attributes.get("href") or "#").startswith("#")


def test_its_policy_allows_its_own_style_and_nothing_else(html: str) -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'"
    assert report_policy() == policy
    assert ("meta", {"http-equiv": "Content-Security-Policy", "content": policy}) in Elements(html).found
    assert "url(" not in style
    assert "@import" not in style


def test_hostile_text_is_shown_and_inert(html: str) -> None:
    assert "<script" not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_links_within_lead_somewhere(html: str) -> None:
    elements = Elements(html).found
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for tag, attributes in elements if tag == "a" and attributes.get("href")}  # type: ignore[index]
    assert targets <= set(ids)


def test_the_same_document_gives_the_same_bytes(manifest: Mapping[str, Any], diff: Callable[..., Any]) -> None:
    document = report_document(manifest, diff(), None)
    assert report_html(document) == report_html(document)


def test_a_report_of_nothing_still_says_what_is_missing(manifest: Mapping[str, Any]) -> None:
    html = report_html(report_document(manifest, None, None))
    assert "what changed is not known" in html
    assert "says nothing about what the change does" in html


def test_the_page_never_says_that_all_is_well(
    manifest: Mapping[str, Any], diff: Callable[..., Any], audit: Callable[..., Any], cell: Callable[..., Any]
) -> None:
    html = report_html(report_document(manifest, diff(), audit(cell())))
    assert "No shift beyond 1.10 was found in 1 primary cell; this panel would have seen 1.06." in html
    assert "no issues" not in html.lower()
