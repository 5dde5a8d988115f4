# SPDX-License-Identifier: Apache-2.0
"""The words by which names are understood.

A name is split at underscores, dots, dashes and capitals, and its words are looked up here. This is a heuristic on
purpose: it is
short, it can be read, and a reviewer can predict it. What a word list cannot see, the flow of names (``_flow``) often
can.
"""

from __future__ import annotations

import re
from functools import lru_cache

_SPLIT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def word_set(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


SCORE = word_set("""
score scores scored scoring scorer rank ranks ranked ranking ranker rerank reranks reranked reranking reranker reorder
weight weights weighted weighting weigh boost boosts boosted boosting booster lift lifts lifted uplift bonus bonuses
penalty penalties penalize penalise multiplier multipliers factor demote demotes demoted demotion promote promotes
promoted promotion downrank downranked uprank upweight downweight relevance priority priorities logit logits decay
freshness recency popularity affinity preference blend amplify amplification amplified suppress suppressed suppression
visibility exposure coefficient coefficients threshold cutoff damping filter filters filtered filtering exclude
excludes excluded exclusion block blocked blocklist blacklist whitelist allowlist denylist ban banned shadowban
eligible eligibility halflife
""")
"""What decides which items are shown, and in which order."""

METRIC = word_set("""
metric metrics counter counters gauge gauges histogram histograms monitor monitoring telemetry log logger logging
logged statsd stats prometheus observe timer tracing tracer trace dashboard dashboards alert alerts evaluate evaluation
""")
"""What only watches."""

LOGGING = word_set("log logs logger loggers logging logged warn warning debug info")
"""What only writes lines."""

_WATCHING = word_set("""
audit audits auditor auditing sentry datadog newrelic instrument instrumentation heartbeat watchdog
""")

RULES = word_set("""
rule rules filter filters scorer scorers ranker rankers reranker rerankers booster boosters hydrator hydrators mixer
mixers heuristic heuristics policy policies penalty penalties boosts demotions pipeline pipelines stage stages gate
gates candidate candidates
""")
"""What a list of things that take part in ranking is called."""

_RULE = word_set("""
rule filter scorer ranker reranker booster hydrator mixer heuristic policy penalty boost demotion demote promote
downrank uprank rerank suppress gate safety guard blocklist allowlist exclude dedupe diversity diversify decay
""")

FLAGS = word_set("flag flags feature features toggle toggles decider gate experiment experiments switch switches")
"""What asks for a flag by its name."""

NEUTRAL = word_set("""
chunk chunks batch batches size sizes thread threads worker workers job jobs seed seeds timeout timeouts cache caches
cached buffer port host hostname path paths dir directory file filename filenames name names version dtype shape axis
verbose verbosity debug level rng random generator index indices idx indptr start stop step offset offsets count
counts num length jobs allow_pickle copy strict ascending inplace stable sort sorted dim keepdims epoch epochs
iteration iterations retries retry interval memory cpu gpu device devices order block_size tolerance description title
comment url encoding format mode type types ttl lifetime pool conn connection connections
""")
"""What says how the work is done: a name of these words alone passes no score on."""

_FILLING = word_set("n max min default of per number no with the is use enable enabled level x i j")

IDENTITY = word_set("""
account accounts author authors creator creators user users userid username usernames handle handles source sources
domain domains outlet outlets publisher publishers channel channels uploader uploaders owner owners party parties
country countries region regions nation nations nationality city cities place places language languages lang langs
locale locales keyword keywords hashtag hashtags politician politicians candidate candidates narrative narratives
religion ethnicity gender ideology leaning leanings stance orientation screenname blocklist blacklist whitelist
allowlist denylist banned shadowban vip vips influencer influencers newspaper newspapers website websites site sites
geo market markets province provinces continent
""")
"""Attributes and lists that single out people, sources, places or opinions."""

GROUPING = word_set("""
kind kinds type types category categories label labels group groups tier tiers segment segments cohort cohorts topic
topics tag tags class status state states role bucket affiliation
""")
"""Attributes that may single out, if they belong to a person, a source or an item and a score depends on them."""

PERSONAL = word_set("""
author authors creator creators user users item items clip clips video videos post posts article articles story
stories account accounts channel viewer viewers member profile publisher source outlet track tracks candidate
candidates content contents meta metadata context ctx request req person uploader owner advertiser tweet status
document news
""")
"""Whose attribute it is."""

SCOPE = word_set("""
country countries region locale lang language date day month year time timestamp now today hour weekday cohort cohorts
experiment bucket age days device segment tier party market geo city gender account created registered expires until
since before after
""")
"""What limits a rule to some users, places or times."""

MULTIPLYING = word_set("""
boost boosts lift uplift bonus penalty multiplier multipliers weight weights factor demote promote downrank upweight
downweight score scores
""")
"""What a score is multiplied with or moved by."""

ADDING = MULTIPLYING | word_set("add adds added extra plus adjust adjustment adjustments delta gain bias multiply")
"""The same in configuration, where a key says what is done with its numbers."""

_NOT_PEOPLE = word_set("""
feature features column columns field fields metric metrics args kwargs dtype dtypes path paths file files extension
extensions suffix suffixes header headers module modules package packages dependency dependencies option options
command commands test tests classifiers first third known plugins
exports imports code codes encoding encodings schema schemas color
colors colour colours format formats
""")
"""What lists of names hold that are no identities."""


_LOGARITHMS = frozenset({"log", "Log", "ln", "log1p", "log2", "log10"})
_RESULTS = word_set(
    "metrics metric results result outputs output report reports benchmark benchmarks snapshots fixtures"
)
_BUILDING = frozenset({".github", ".circleci", ".gitlab", ".buildkite"})
_AMBIGUOUS = word_set("trace evaluate evaluation observe")  # of errors, of expressions, of streams
_READING = word_set("get getlogger create build new")


@lru_cache(maxsize=65_536)
def words(name: str) -> frozenset[str]:
    """The words of a name, in lower case."""
    return frozenset(part.lower() for part in _SPLIT.findall(name[:400]))


@lru_cache(maxsize=65_536)
def word_sequence(name: str) -> tuple[str, ...]:
    """The words of a name's last part, in order and lower case: what two spellings of one name share."""
    return tuple(part.lower() for part in _SPLIT.findall(name[-400:].rpartition(".")[2]))


def is_score(name: str) -> bool:
    """Whether a name speaks of scores, ranks or filters, and not of watching them."""
    found = words(name)
    return bool(found & SCORE) and not found & METRIC


def is_metric(name: str) -> bool:
    """Whether a name speaks of watching."""
    return bool(words(name) & METRIC)


def watches(callee: str) -> bool:
    """Whether a call of this dotted name watches; ``log`` of a mathematical module does not."""
    owner, _, last = callee.rpartition(".")
    if last in _LOGARITHMS and not words(owner) & (METRIC | _WATCHING):
        return False
    found = words(callee)
    return bool(found & ((METRIC - _AMBIGUOUS) | _WATCHING)) and not words(last) & _READING


def names_itself(name: str, text: str) -> bool:
    """Whether a text says nothing that the name bound to it does not, as names of columns do."""
    found = words(text)
    return bool(found) and found <= words(name)


def is_rule(name: str) -> bool:
    """Whether a name of two words or more speaks of something that takes part in ranking."""
    found = words(name)
    return len(found) > 1 and bool(found & _RULE) and not found & METRIC


def is_rule_table(name: str) -> bool:
    """Whether a list of this name holds what takes part in ranking."""
    found = words(name.rpartition(".")[2])
    return bool(found & RULES) and not found & (METRIC | _NOT_PEOPLE)


def holds_results(path: str) -> bool:
    """Whether a file of values holds what was measured, or how to build, by its path: nothing reads a score from it."""
    *folders, name = path.split("/")
    if folders and folders[0] in _BUILDING:
        return True
    return bool(words(name.partition(".")[0]) & _RESULTS) or bool(_RESULTS & {folder.lower() for folder in folders})


def is_neutral(name: str) -> bool:
    """Whether a name says how work is done: it passes no score on."""
    found = words(name)
    return bool(found) and found <= NEUTRAL | _FILLING and not found & SCORE


def is_people_list(name: str) -> bool:
    """Whether a list of this name holds identities, by the name alone."""
    found = words(name)
    return bool(found & IDENTITY) and not found & _NOT_PEOPLE
