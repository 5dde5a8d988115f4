# SPDX-License-Identifier: Apache-2.0
"""literal-changed, literal-added, literal-removed, identity-list-added, identity-list-changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffing._evidence import at, list_sample, number_move, shown, values_of
from diffing._facts import NAMED_ROLES, Literal
from diffing._flow import Feeds
from diffing._identities import is_identity_list
from diffing._pairing import Match, Placed, value_key
from diffing._redactions import is_redaction, redaction
from diffing._words import is_neutral, names_itself
from evidence import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from diffing._facts import Value
    from diffing._placing import Places

_UNITS = frozenset({60, 1000, 3600, 86400, 1024, 1_000_000, 1_000_000_000})  # of time and size
_EXPORTS = "__all__"
_TRIVIAL = frozenset({0, 1, -1, "", "utf-8"})
_SENTENCE = 4  # words from which on a text is one for people
_FEW = 3  # identities in one comparison that are special cases; more are a list
_REACH = {
    Feeds.SCORE: "A score or filter depends on it",
    Feeds.METRIC: "Only a metric depends on it, as far as names tell",
    Feeds.NOTHING: "No score or filter depends on it, as far as names tell",
}
_PACKAGING = frozenset({"pyproject.toml", "package.json", "setup.cfg", "Cargo.toml"})


def literal_findings(
    matches: Iterable[Match], places: Places, singled: Container[tuple[str, str]]
) -> Iterator[Finding]:
    """Findings on literals; ``singled`` holds path and name of short lists whose members are special cases already."""
    for match in matches:
        old, new = match
        if old is not None and new is not None:
            if value_key(old.fact.value) != value_key(new.fact.value):
                blank = old.fact.role in NAMED_ROLES and is_redaction(old.fact.value, new.fact.value)
                yield redaction(old, new) if blank else _changed(old, new)
        elif new is not None:
            if (new.facts.path, new.fact.name) in singled:
                continue
            yield from _one_sided(new, "added", existing=places.both(new.place))
        elif old is not None:
            yield from _one_sided(old, "removed", existing=places.both(old.place))


def _changed(old: Placed, new: Placed) -> Finding:
    before, after = old.fact, new.fact
    if isinstance(before.value, tuple) and isinstance(after.value, tuple):
        if after.role != "table" and (_is_identities(old) or _is_identities(new)):
            return _identity_changed(old, new)
        return _list_changed(old, new)
    move = number_move(before.value, after.value)
    feeds = max(before.feeds, after.feeds)
    name = after.name
    evidence: dict[str, Any] = {
        "name": name,
        "old": shown(before.value),
        "new": shown(after.value),
        "ratio": move.ratio,
        "sign_flip": move.flips,
        "feeds": feeds.name.lower(),
    }
    if before.name != name:
        evidence["old_name"] = before.name
    if old.facts.path != new.facts.path:
        evidence["old_path"] = old.facts.path
    title = f"{name}: {_text(before.value)} → {_text(after.value)}{move.words}"
    detail = f"{_REACH[feeds]}.{_moved(old, new)}"
    return Finding(
        "literal-changed",
        Severity.INFO if _is_sentence(after) else _severity(feeds, large=move.large),
        title,
        detail,
        at(new.facts, after),
        evidence,
        _key(new, repr(before.value), repr(after.value)),
    )


def _moved(old: Placed, new: Placed) -> str:
    parts = []
    if old.fact.name != new.fact.name:
        parts.append(f"It was named {old.fact.name}")
    if old.place != new.place or old.facts.path != new.facts.path:
        parts.append(f"it stood in {old.facts.place(old.fact.symbol)} ({old.facts.path}:{old.fact.line})")
    text = "; ".join(parts)
    return f" {text[0].upper()}{text[1:]}." if text else ""


def _list_changed(old: Placed, new: Placed) -> Finding:
    values = values_of(old.fact.value, new.fact.value)
    feeds = max(old.fact.feeds, new.fact.feeds)
    evidence = {"name": new.fact.name, **values.evidence(), "ratio": values.ratio, "feeds": feeds.name.lower()}
    return Finding(
        "literal-changed",
        Severity.INFO if new.fact.name == _EXPORTS else _severity(feeds, large=values.large),
        f"{new.fact.name}: {values.words}",
        f"{_REACH[feeds]}.{_moved(old, new)}",
        at(new.facts, new.fact),
        evidence,
        _key(new, values.digest),
    )


def _identity_changed(old: Placed, new: Placed) -> Finding:
    values = values_of(old.fact.value, new.fact.value)
    scoped = new.fact.scoped
    evidence = {
        "name": new.fact.name,
        "count": len(values.new),
        "sample": list_sample(values.added or values.removed or values.new),
        "scoped": scoped,
        **values.evidence(),
    }
    limits = _scope_words(scoped=scoped)
    detail = f"A list of identities: {values.words}. {limits} {_REACH[new.fact.feeds]}.{_moved(old, new)}"
    return Finding(
        "identity-list-changed",
        Severity.MEDIUM,
        f"Identities in {new.fact.name} changed: {values.words}",
        detail,
        at(new.facts, new.fact),
        evidence,
        _key(new, values.digest),
    )


def _one_sided(item: Placed, what: str, *, existing: bool) -> Iterator[Finding]:
    fact = item.fact
    if isinstance(fact.value, tuple) and fact.role != "table" and _is_identities(item):
        if fact.role == "threshold" and len(fact.value) <= _FEW:
            return  # each is a special case of its own
        yield _identity_list(item, what)
        return
    if fact.value is None or (fact.role == "threshold" and isinstance(fact.value, str)):
        return
    if fact.role not in NAMED_ROLES:
        trivial = not isinstance(fact.value, tuple) and fact.value in _TRIVIAL
        if trivial or fact.feeds is not Feeds.SCORE:
            return
    little = _says_little(fact)
    telling = fact.feeds is Feeds.SCORE and not little and not _is_text(fact.value)  # a text by itself moves no score
    quiet = not existing or little
    severity = Severity.MEDIUM if telling else Severity.INFO if quiet else Severity.LOW
    side = "new" if what == "added" else "old"
    evidence = {"name": fact.name, side: shown(fact.value), "feeds": fact.feeds.name.lower()}
    yield Finding(
        f"literal-{what}",
        severity,
        f"{fact.name} {what}: {_text(fact.value)}",
        f"{_REACH[fact.feeds]}.",
        at(item.facts, fact, "head" if what == "added" else "base"),
        evidence,
        _key(item, repr(shown(fact.value))),
    )


def _identity_list(item: Placed, what: str) -> Finding:
    fact = item.fact
    values = values_of(() if what == "added" else fact.value, fact.value if what == "added" else ())
    members = values.new or values.old
    evidence = {
        "name": fact.name,
        "count": len(members),
        "sample": list_sample(members),
        "scoped": fact.scoped,
        **values.evidence(),
    }
    added = what == "added"
    noun = "identity" if len(members) == 1 else "identities"
    title = f"{len(members):,} {noun} {'listed' if added else 'no longer listed'} in {fact.name}"
    some = ", ".join(map(str, list_sample(members)[:3]))
    detail = f"For example {some}. {_scope_words(scoped=fact.scoped)} {_REACH[fact.feeds]}."
    return Finding(
        "identity-list-added" if added else "identity-list-changed",
        Severity.MEDIUM,
        title,
        detail,
        at(item.facts, fact, "head" if added else "base"),
        evidence,
        _key(item, values.digest),
    )


def _scope_words(*, scoped: bool) -> str:
    return (
        "A country, date or cohort limits where it applies." if scoped else "Nothing near it limits where it applies."
    )


def _is_identities(item: Placed) -> bool:
    value = item.fact.value
    if not isinstance(value, tuple):
        return False
    if item.facts.path.rpartition("/")[2] in _PACKAGING:
        return False
    if item.fact.by and is_identity_list(item.fact.by.rpartition(".")[2], value):
        return True
    return is_identity_list(item.fact.name, value)


def _severity(feeds: Feeds, *, large: bool) -> Severity:
    """Low; medium where a score or filter depends on it; high where it also flips its sign or moves threefold."""
    if feeds is Feeds.SCORE:
        return Severity.HIGH if large else Severity.MEDIUM
    if feeds is Feeds.METRIC:
        return Severity.MEDIUM if large else Severity.LOW
    return Severity.LOW


def _is_sentence(fact: Literal) -> bool:
    """Whether a value is only words for people: what is logged, a description."""
    if not isinstance(fact.value, str) or fact.feeds is Feeds.SCORE:
        return False
    return fact.metric or len(fact.value.split()) >= _SENTENCE


def _is_text(value: Value) -> bool:
    """Whether a value is a text, or a list of nothing but texts."""
    return isinstance(value, str) or (isinstance(value, tuple) and all(isinstance(one, str) for one in value))


def _says_little(fact: Literal) -> bool:
    """Whether what came or went is its own name, a unit, or a text, switch or way of working that feeds no score."""
    value = fact.value
    if fact.role in {"term", "threshold"} and value in _UNITS:
        return True
    if fact.feeds is Feeds.SCORE:
        return isinstance(value, str) and (fact.role == "argument" or names_itself(fact.name, value))
    switch = isinstance(value, bool) and (fact.role not in {"config", "default"} or fact.feeds is Feeds.METRIC)
    return switch or _is_text(value) or is_neutral(fact.name.rpartition(".")[2])


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return f"{len(value):,} values"
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"  # noqa: PLR2004 - a title stays one line


def _key(item: Placed, *values: str) -> tuple[str, ...]:
    fact: Literal = item.fact
    return (item.facts.path, fact.symbol, fact.role, fact.name, *values)
