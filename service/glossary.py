# SPDX-License-Identifier: Apache-2.0
"""The words of the pages, each with what it means here. Every verdict, state, weight and answer has to be in it."""

from __future__ import annotations

from typing import Final, NamedTuple

from evidence import CellVerdict, Severity, Verdict
from reports import CELL_MEANINGS
from service.life import State
from signoff import Decision
from signoff import State as RequirementState


class Word(NamedTuple):
    """A word and its meaning; ``anchor`` is its address on the page."""

    word: str
    meaning: str
    anchor: str


class Words(NamedTuple):
    """Words that belong together, under a heading that may be linked to by ``anchor``."""

    anchor: str
    heading: str
    words: tuple[Word, ...]


_WORDS: Final = {
    "change": "A proposal, such as a pull request.",
    "revision": (
        "One exact state of a change: base and head commit, their trees, model files by digest. Votes, answers and "
        "marks hang on it; a new revision makes those of the one before outdated."
    ),
    "base, head": "What is there now, and what is proposed instead.",
    "finding": "Something a reviewer has to look at: by which rule, how heavy, where, and what was measured.",
    "thread": (
        "What is said about a line, a file or the change, until somebody resolves it. It may block; the policy says "
        "whether that counts."
    ),
    "draft": "A comment that only its author sees, until all of theirs are published together.",
    "outdated": "Of a thread: the line it was begun on is changed or gone in the revision that is looked at.",
    "panel": (
        "Users, items, labels and margins that an audit uses. It is the reviewer's, and the platform never sees it."
    ),
    "slate": "The ranked items that one user gets for one request.",
    "slice": (
        "A named set of items, such as state media, a party, a narrative. An item may belong to it in part, from 0 "
        "to 1."
    ),
    "cohort": "A named set of users.",
    "exposure": "A slice's share of a slate, where higher places weigh more.",
    "reach": "The share of users who see at least one item of a slice.",
    "amplification ratio": "Exposure under head over exposure under base: 1.20 is a fifth more.",
    "adjusted ratio": "What is left of the ratio once freshness, popularity or whatever the panel names is taken out.",
    "margin": "How much ratio is too much. It is set by the panel's owner before anything runs.",
    "minimum detectable ratio": (
        "The smallest ratio that this panel would have found four times out of five. A smaller one may be there, and "
        "not be found."
    ),
    "cell": "One slice for one cohort: the smallest thing that has a verdict.",
    "churn": "How much items move between two builds that differ in nothing that matters.",
    "rebuild": "The same version trained again with other random numbers, to see how much chance alone moves.",
    "probe": "One kind of test of the behaviour. One that was not run is neither a pass nor a fail.",
    "baseline": "The last signed state of what a change goes on from.",
    "waived": "Left unread on purpose, by somebody with a name and a reason; the signed statement says so.",
    "sign-off": "A reviewer's signed verdict on a revision.",
    "policy": (
        "What must hold before a revision may go out. It is the reviewer organisation's file, named by digest in "
        "each sign-off."
    ),
    "gate": "The check before a rollout: it lets through only what was signed, and needs no server for it.",
    "log": (
        "Every sign-off and the digest of every piece of evidence, in an order that cannot be changed without "
        "anybody noticing."
    ),
    "checkpoint": "The log's signed head: its size and the hash of all of it.",
    "inclusion proof": "The few hashes that show that an entry is in the log of a checkpoint.",
    "witness": "Somebody else who signs a checkpoint only if it continues the one seen before.",
    "recipe": (
        "A signed description of how a model is retrained, with bounds; builds within them need no reviewer each time."
    ),
}

_VERDICTS: Final = {
    Verdict.PASS: (
        "Every declared cell is equivalent, or lies with all of its interval inside the margin; nothing that "
        "weighs enough to fail was found."
    ),
    Verdict.FAIL: "Content is amplified or suppressed beyond a margin, or a finding weighs so much that it fails.",
    Verdict.INCONCLUSIVE: (
        "Something could not be told, or was not run. It is not a pass: what would settle it is said beside it."
    ),
}

_SEVERITIES: Final = {
    Severity.INFO: "Good to know; nothing to answer.",
    Severity.LOW: "Worth a glance.",
    Severity.MEDIUM: "Changes what is ranked, or what is read or sent; look at it.",
    Severity.HIGH: (
        "Fails the review of the code, and has to be answered before a sign-off unless the policy says otherwise."
    ),
    Severity.CRITICAL: "The same, and heavier: content is moved beyond a margin, or a safeguard is gone.",
}

_STATES: Final = {
    State.HELD: "It comes from a fork, and waits until a reviewer lets it through.",
    State.RECEIVED: "It has arrived and waits for its review, or is in it.",
    State.DIFFED: "Code, configuration and dependencies are compared.",
    State.AUDITED: "Base and head have been run.",
    State.OUTSIDE: "It touches nothing that is under review, so there is nothing to decide.",
    State.READY: "The review has ended: a reviewer decides.",
    State.SIGNED: "The sign-offs that the policy asks for are there.",
    State.REJECTED: "A reviewer has said no.",
    State.REVOKED: "A sign-off was taken back, and the revision may not go out.",
    State.EXPIRED: "Its sign-offs have run out.",
    State.SUPERSEDED: "A newer revision of the change has come.",
    State.FAILED: "It could not be reviewed; why is said, and it can be sent again.",
}

_DECISIONS: Final = {
    Decision.APPROVED: "The revision may go out, as far as this reviewer is concerned.",
    Decision.APPROVED_WITH_CONDITIONS: (
        "It may, under conditions that the statement lists. The policy says whether that counts."
    ),
    Decision.REJECTED: "It may not.",
    Decision.REVOKED: "An earlier approval of this revision holds no more.",
}

_ANSWERS: Final = {
    "acknowledged": "Seen, and right as it is.",
    "not-an-issue": "What was found is not what it looks like; the reason says why.",
    "must-change": "The platform has to change this: the finding stays open.",
}

_REQUIREMENTS: Final = {
    RequirementState.NOT_APPLICABLE: "The policy does not ask for it here.",
    RequirementState.UNSATISFIED: "It is missing still.",
    RequirementState.SATISFIED: "It is met.",
    RequirementState.OVERRIDDEN: (
        "It is not met, and a reviewer signed in spite of it, with a reason, as the policy allows."
    ),
    RequirementState.BYPASSED: "It was passed over in an emergency. Here that never counts as met.",
    RequirementState.ERROR: "It could not be judged, which counts as not met.",
}


def glossary() -> tuple[Words, ...]:
    """Everything, in the order of the page."""
    groups = (
        ("words", "Words", _WORDS),
        ("verdicts", "Verdicts of a review", _VERDICTS),
        ("cells", "Verdicts of a cell", {verdict: _sentence(CELL_MEANINGS[verdict]) for verdict in CellVerdict}),
        ("severities", "How heavy a finding is", _SEVERITIES),
        ("answers", "Answers to a finding", _ANSWERS),
        ("states", "Where a revision stands", _STATES),
        ("requirements", "Where a requirement stands", _REQUIREMENTS),
        ("decisions", "What a reviewer can sign", _DECISIONS),
    )
    return tuple(
        Words(
            anchor, heading, tuple(Word(str(word), meaning, _anchor(anchor, word)) for word, meaning in found.items())
        )
        for anchor, heading, found in groups
    )


def _anchor(group: str, word: str) -> str:
    return f"{group}-{word.lower().replace(',', '').replace(' ', '-').replace('_', '-')}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
