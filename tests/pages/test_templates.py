# SPDX-License-Identifier: Apache-2.0
"""Every template is given exactly its documented view, and uses all of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jinja2 import Environment, UndefinedError, nodes

from reports import ReportView
from service.pages import _common
from service.pages._common import Shell
from service.pages.author import AuthorPage
from service.pages.behavior import BehaviorPage
from service.pages.change import OverviewPage
from service.pages.doors import ErrorPage, SignInPage
from service.pages.files import FilesPage
from service.pages.log import LogPage
from service.pages.models import ModelsPage
from service.pages.passkeys import PasskeysPage
from service.pages.people import PeoplePage
from service.pages.policy import PolicyPage
from service.pages.public import PublicPage, PublishedPage
from service.pages.queue import QueuePage
from service.pages.sign import SignPage
from service.pages.since import SincePage
from service.pages.threads import CommentPage, ThreadsPage
from service.pages.words import WordsPage

if TYPE_CHECKING:
    from service.pages._common import View

TEMPLATES = _common.TEMPLATES
VIEWS = (
    QueuePage,
    OverviewPage,
    FilesPage,
    BehaviorPage,
    ModelsPage,
    SignPage,
    SincePage,
    ThreadsPage,
    CommentPage,
    AuthorPage,
    LogPage,
    PeoplePage,
    PolicyPage,
    PublicPage,
    PublishedPage,
    PasskeysPage,
    SignInPage,
    ErrorPage,
    WordsPage,
)
SHARED = {"frame.html", "change_parts.html", "owed_reviews.html", "thread_parts.html"}


def _used(path: Path, name: str) -> set[str]:
    tree = Environment(autoescape=True).parse(path.read_text(encoding="utf-8"))
    return {
        node.attr
        for node in tree.find_all(nodes.Getattr)
        if isinstance(node.node, nodes.Name) and node.node.name == name
    }


def test_every_template_belongs_to_a_view() -> None:
    assert {path.name for path in TEMPLATES.glob("*.html")} == {view.template for view in VIEWS} | SHARED


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.template)
def test_a_template_uses_what_its_view_holds_and_nothing_else(view: Any) -> None:
    fields = {field.name for field in dataclasses.fields(view)}
    assert _used(TEMPLATES / view.template, "view") - {"title"} == fields


def test_the_report_uses_what_its_view_holds_and_nothing_else() -> None:
    path = Path(_common.__file__).parents[2] / "reports" / "templates" / "report.html"
    assert _used(path, "view") == {field.name for field in dataclasses.fields(ReportView)}


def test_the_frame_uses_what_the_shell_holds_and_nothing_else() -> None:
    fields = {field.name for field in dataclasses.fields(Shell)}
    assert _used(TEMPLATES / "frame.html", "shell") == fields


def _page(view: View) -> str:
    return _common.render(view, Shell("/style/x.css", "/", None))


@pytest.mark.parametrize(
    "view",
    [
        QueuePage((), ()),
        LogPage(0, "", (), "", (), ()),
        PublicPage(()),
        SignInPage(""),
        ErrorPage(404, "Not found", "no", "Nothing.", "/"),
    ],
    ids=lambda view: view.template,
)
def test_an_empty_page_has_a_title_and_says_what_to_do(view: View) -> None:
    html = _page(view)
    assert f"<title>{view.title} \N{EN DASH} Countersign</title>" in html
    assert "<script" not in html
    assert "style=" not in html.replace('rel="stylesheet"', "")


def test_hidden_characters_are_shown_even_where_a_template_forgets_to_ask() -> None:
    environment = _common._environment()
    assert environment.from_string("{{ view }}").render(view="a\u202e<b>") == "a⟦U+202E⟧&lt;b&gt;"


@pytest.mark.parametrize("template", ["{{ view.missing }}", "{{ other }}"])
def test_a_name_that_is_not_there_is_an_error(template: str) -> None:
    with pytest.raises(UndefinedError):
        _common._environment().from_string(template).render(view=SignInPage(""))


def test_nothing_is_never_printed_as_none() -> None:
    with pytest.raises(TypeError, match="printed None"):
        _common._environment().from_string("{{ view }}").render(view=None)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://code.example/1", "https://code.example/1"),
        ("javascript:alert(1)", ""),
        ("JAVASCRIPT:alert(1)", ""),
        ("https://a\u202e", ""),
        (None, ""),
    ],
)
def test_only_web_addresses_become_links(url: str | None, shown: str) -> None:
    assert _common.outside_link(url) == shown
