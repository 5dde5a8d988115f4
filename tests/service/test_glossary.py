# SPDX-License-Identifier: Apache-2.0
"""Whatever a page can call a thing is explained, once, at an address of its own."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest

from evidence import CellVerdict, Severity, Verdict
from service.glossary import glossary
from service.life import State
from service.views import ANSWER_KINDS
from signoff import Decision
from signoff import State as RequirementState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi.testclient import TestClient


@pytest.mark.parametrize(
    ("group", "everything"),
    [
        ("verdicts", Verdict), ("cells", CellVerdict), ("severities", Severity), ("answers", ANSWER_KINDS),
        ("states", State), ("requirements", RequirementState), ("decisions", Decision),
    ],
)  # fmt: skip
def test_nothing_that_a_page_may_say_is_left_out(group: str, everything: Iterable[str]) -> None:
    (found,) = (words for words in glossary() if words.anchor == group)
    assert {word.word for word in found.words} == {str(each) for each in everything}


def test_every_word_has_a_sentence_and_an_address() -> None:
    words = [word for group in glossary() for word in group.words]
    anchors = [word.anchor for word in words] + [group.anchor for group in glossary()]
    assert len(set(anchors)) == len(anchors)
    assert all(re.fullmatch("[a-z-]+", anchor) for anchor in anchors)
    assert all(word.meaning.endswith(".") and word.meaning[0].isupper() for word in words)


def test_anybody_may_read_them_and_every_page_leads_there(client: TestClient) -> None:
    answer = client.get("/words")
    assert answer.status_code == 200
    text = html.unescape(answer.text)
    for group in glossary():
        for word in group.words:
            assert f'id="{word.anchor}"' in text
            assert word.meaning in text
    assert 'href="/words"' in client.get("/sign-in").text
