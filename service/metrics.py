# SPDX-License-Identifier: Apache-2.0
"""Figures for operators, in Prometheus's text format: what this process did, and what database and log hold.

Labels are states, verdicts, steps, error classes and names that the operator gave. Never titles, repositories,
people or anything of a panel: whoever may read figures need not be a reviewer.
"""

from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from evidence import VerificationError
from service import outbox, trust
from service.arrivals import now
from service.database import IncidentRow, RevisionRow
from service.life import State
from service.outbox import Fate
from signoff import open_cosignatures

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from service.context import Context
    from service.draining import Gate

_WAITING = (State.RECEIVED, State.DIFFED, State.AUDITED)
_SOURCES = frozenset({"github", "gitlab", "gitea", "standard"})
_OUTCOMES = {200: "nothing-to-do", 202: "accepted", 401: "unauthenticated", 413: "too-large", 429: "limited"}
_SERVER_ERROR = 500
_WORD = re.compile(r"[a-z][a-z0-9-]{0,40}")
_MOST_WORDS = 100
_ENTRIES = "Entries that the log's checkpoint commits to."
_SECONDS = (0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400)

log = structlog.get_logger("countersign")

_here = CollectorRegistry(auto_describe=True)
STEPS = Histogram(
    "countersign_step_seconds",
    "How long steps of reviews took in this process, tries again included.",
    ["step", "outcome"],
    buckets=_SECONDS,
    registry=_here,
)
WEBHOOKS = Counter(
    "countersign_webhooks", "Webhooks that this process answered, by how.", ["source", "outcome"], registry=_here
)
PROBLEMS = Counter(
    "countersign_problems",
    "Requests that this process answered with an error.",
    ["class"],
    registry=_here,
)
ProcessCollector(registry=_here)
GCCollector(registry=_here)


def registry(context: Context, gate: Gate) -> CollectorRegistry:
    """Everything there is to say: this process's figures, and those read from database and log when asked."""
    joined = CollectorRegistry()
    joined.register(_here)
    joined.register(_Kept(context, gate))
    return joined


class CountWebhooks:
    """Middleware: counts answers to webhooks by code host and outcome."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and look at the status of what goes back."""
        if scope["type"] != "http" or not scope["path"].startswith("/webhooks/"):
            await self._app(scope, receive, send)
            return
        name = scope["path"].removeprefix("/webhooks/")
        source = name if name in _SOURCES else "other"

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                WEBHOOKS.labels(source, _outcome(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counted)


def _outcome(status: int) -> str:
    return _OUTCOMES.get(status) or ("failed" if status >= _SERVER_ERROR else "refused")


class _Kept(Collector):
    """What is read when somebody asks. Of what cannot be read there are no figures, and ``up`` is 0."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context = context
        self._gate = gate

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("countersign_up", "Whether database and log could be read just now.", labels=["part"])
        for part, read in (("database", self._database), ("log", self._log)):
            try:
                yield from list(read())
                up.add_metric([part], 1)
            except Exception as error:  # noqa: BLE001 - whatever it is, that is the figure
                log.warning("figures missing", part=part, reason=f"{type(error).__name__}: {error}")
                up.add_metric([part], 0)
        yield up
        yield _one("countersign_draining", "Whether this process lets no step begin any more.", self._gate.closed)
        yield _one("countersign_steps_running", "Steps that run in this process.", self._gate.running)
        free = shutil.disk_usage(self._context.settings.data).free
        yield _one("countersign_disk_free_bytes", "Free bytes where the data folder is.", free)

    def _database(self) -> Iterator[GaugeMetricFamily]:
        with self._context.database.read() as session:
            states = session.execute(
                select(RevisionRow.state, func.count(), func.min(RevisionRow.since)).group_by(RevisionRow.state)
            ).all()
            verdicts = session.execute(
                select(RevisionRow.verdict, func.count())
                .where(RevisionRow.verdict.is_not(None))
                .group_by(RevisionRow.verdict)
            ).all()
            errors = session.execute(
                select(RevisionRow.error_class, func.count())
                .where(RevisionRow.error_class.is_not(None))
                .group_by(RevisionRow.error_class)
            ).all()
            incidents = session.execute(
                select(IncidentRow.kind, func.count())
                .where(IncidentRow.settled_at.is_(None))
                .group_by(IncidentRow.kind)
            ).all()
            undispatched = session.scalar(select(func.count()).where(RevisionRow.dispatched_at.is_(None)))
        fates, since = outbox.figures(self._context.database)
        messages = GaugeMetricFamily(
            "countersign_outbox", "Reports to others, by what became of them.", labels=["fate"]
        )
        for fate in Fate:
            messages.add_metric([fate.value], fates.get(fate, 0))
        yield messages
        waited = 0.0 if since is None else max(0.0, (now() - since).total_seconds())
        yield _one("countersign_outbox_oldest_seconds", "How long the oldest report that waits has waited.", waited)
        counts = {State(state): count for state, count, _ in states}
        oldest = {State(state): since for state, _, since in states}
        revisions = GaugeMetricFamily("countersign_revisions", "Revisions by state.", labels=["state"])
        age = GaugeMetricFamily(
            "countersign_oldest_seconds", "How long the oldest under review has been in its state.", labels=["state"]
        )
        for state in State:
            revisions.add_metric([state.value], counts.get(state, 0))
        for state in _WAITING:
            waits = (now() - oldest[state]).total_seconds() if state in oldest else 0.0
            age.add_metric([state.value], max(0.0, waits))
        yield revisions
        yield age
        yield _one("countersign_undispatched", "Arrivals that no worker was handed yet.", undispatched or 0)
        yield _many("countersign_reviews", "Reviews that ended with a verdict.", "verdict", verdicts)
        yield _many("countersign_review_errors", "Reviews that ended with an error.", "class", errors)
        yield _many("countersign_incidents_open", "Incidents that nothing has settled.", "kind", incidents)

    def _log(self) -> Iterator[GaugeMetricFamily]:
        if not (self._context.log / "checkpoint").exists() and not (self._context.log / "tile").exists():
            yield _one("countersign_log_entries", _ENTRIES, 0)  # nothing was logged yet
            return
        reader = trust.log_reader(self._context)
        note = reader.checkpoint()
        age = time.time() - (self._context.log / "checkpoint").stat().st_mtime
        yield _one("countersign_log_entries", _ENTRIES, reader.size)
        yield _one("countersign_log_checkpoint_age_seconds", "Since the checkpoint was written or cosigned.", age)
        quorum = trust.roots(self._context).quorum
        if quorum is None:
            return
        cosigned = {one.key: one.at for one in open_cosignatures(note, tuple(quorum.witnesses.values()))}
        each = GaugeMetricFamily(
            "countersign_witness_cosigned", "Whether a witness has cosigned the checkpoint.", labels=["witness"]
        )
        for name, key in quorum.witnesses.items():
            each.add_metric([name.decode(errors="replace")], key in cosigned)
        yield each
        try:
            quorum.check(note)
            met = True
        except VerificationError:
            met = False
        yield _one("countersign_witness_quorum", "Whether the witnesses' quorum has cosigned the checkpoint.", met)


def _one(name: str, help_: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_, value=value)


def _many(name: str, help_: str, label: str, rows: Iterable[Any]) -> GaugeMetricFamily:
    """One figure a word. What is no plain word, as hostile code may make one up, is counted as ``other``."""
    counts: dict[str, int] = {}
    for value, count in rows:
        word = str(value) if _WORD.fullmatch(str(value)) and len(counts) < _MOST_WORDS else "other"
        counts[word] = counts.get(word, 0) + count
    family = GaugeMetricFamily(name, help_, labels=[label])
    for word, count in counts.items():
        family.add_metric([word], count)
    return family
