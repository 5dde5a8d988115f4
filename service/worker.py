# SPDX-License-Identifier: Apache-2.0
"""The process's share of the work: DBOS launched on the data folder, and arrivals handed to it."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID
from sqlalchemy import select

from evidence import ConflictError, InputError
from service import (
    builds,
    expiry,
    incidents,
    later_reviews,
    ledger,
    outbox,
    progress,
    signing,
    statuses,
    steps,
    workflows,
)
from service.arrivals import now
from service.database import RevisionRow
from service.database.engine import postgresql_url
from service.draining import Gate
from service.leases import ALONE, Lease
from service.life import MOVES, State
from service.views import ReviewError

if TYPE_CHECKING:
    from datetime import datetime

    from dbos import WorkflowStatus

    from service.context import Context
    from service.settings import Settings

_POLL_SECONDS = 0.25
_DISPATCH_SECONDS = 1.0
_EXPIRY_EVERY = timedelta(minutes=1)
_DEAD_SECONDS = 5.0
_REVIEWS_AT_ONCE = 8  # most of them wait for an audit
_DESTINATIONS_AT_ONCE = 8
_BEGUN_ANEW = ("deliver", "reconcile", "report")  # they are by themselves; the last is an earlier version's
_UNFINISHED = ["PENDING", "ENQUEUED", "DELAYED"]
_GIVEN_UP = ReviewError(
    "given-up",
    "the review could not be finished; the reviewer sees why",
    "the service ended over and over while it worked on this revision: look at its log, then send the change again",
)

log = structlog.get_logger("countersign")
_working = threading.Lock()


class Worker:
    """Runs reviews in this process. One a process: DBOS is a singleton.

    An arrival is stored in the service's own database first and handed over afterwards, under a workflow id of its
    own; a crash between the two is made good here.
    """

    def __init__(self, context: Context) -> None:
        self.gate = Gate()
        self._context = context
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._expired_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._dbos: DBOS | None = None
        self._lease: Lease | None = None
        self._looked = -_DEAD_SECONDS
        self._thread = threading.Thread(target=self._dispatch_forever, name="dispatch", daemon=True)

    def readiness(self) -> str:
        """``ready``, ``draining``, or ``not ready``; raises nothing.

        Ready is that the database has the newest shape and workflows can be looked up.
        """
        if self.gate.closed:
            return "draining"
        try:
            ready = self._context.database.current()
            DBOS.get_workflow_status("readiness")
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer is no
            log.warning("not ready", reason=f"{type(error).__name__}: {error}")
            ready = False
        return "ready" if ready else "not ready"

    def start(self) -> None:
        """Launch DBOS, which takes up what a killed process left, and begin to hand over arrivals.

        Raises:
            ConflictError: another worker of this process has not stopped; it would lose its workflows without a word.
        """
        if not _working.acquire(blocking=False):
            raise ConflictError("a worker runs in this process already: stop it first")
        try:
            self._launch()
        except BaseException:
            if self._lease is not None:
                self._lease.close()
            _working.release()
            raise
        self._thread.start()

    def _launch(self) -> None:
        settings = self._context.settings
        url = settings.database_url
        if url is None and not settings.work:
            raise InputError("COUNTERSIGN_WORK=false: then workers have to, and those need COUNTERSIGN_DATABASE_URL")
        self._lease = lease = Lease(self._context.workers, None if url is not None else ALONE)
        steps.work_as(lease.name)
        steps.empty_work(self._context, lease.name)
        workflows.bind(self._context, self.gate)
        config: DBOSConfig = {
            "name": "countersign",
            "system_database_url": _system_database(settings),
            "application_version": workflows.VERSION,
            "executor_id": lease.name,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
            "enable_otlp": False,
        }
        self._dbos = DBOS(config=config)
        if not settings.work:
            DBOS.listen_queues([])
        with self._context.exclusive("launch"):  # what launches first makes the tables
            DBOS.launch()
        audits = settings.concurrency
        DBOS.register_queue(workflows.AUDITS, worker_concurrency=audits, polling_interval_sec=_POLL_SECONDS)
        DBOS.register_queue(workflows.REVIEWS, worker_concurrency=_REVIEWS_AT_ONCE, polling_interval_sec=_POLL_SECONDS)
        at_once = _DESTINATIONS_AT_ONCE
        DBOS.register_queue(workflows.OUTBOX, worker_concurrency=at_once, polling_interval_sec=_POLL_SECONDS)
        self._begin_anew(lease)
        self._give_up()
        statuses.remind(self._context)

    def wake(self) -> None:
        """Something has arrived."""
        self._wake.set()

    def drain(self, seconds: float) -> bool:
        """Take up nothing any more and let the steps that run end; False if after ``seconds`` one still runs.

        What was handed to this process and not begun is taken up by the next start, or by another worker.
        """
        self.gate.close()
        self._stop.set()
        self._wake.set()
        for event in self._dbos.background_thread_stop_events if self._dbos else ():
            event.set()
        running = self.gate.running
        log.info("draining", steps=running, seconds=seconds)
        ended = self.gate.wait(seconds)
        log.info("drained" if ended else "steps cut off: they are run again", steps=self.gate.running)
        return ended

    def stop(self, *, patience: int = 0) -> None:
        """Stop taking up work; wait ``patience`` seconds for what is running."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=10)
        DBOS.destroy(workflow_completion_timeout_sec=patience)
        if self._lease is not None:
            self._lease.close()
        _working.release()

    def dispatch(self) -> int:
        """Hand over the arrivals that were not yet; returns how many."""
        with self._context.database.read() as session:
            waiting = session.execute(
                select(RevisionRow.id, RevisionRow.workflow_id)
                .where(RevisionRow.dispatched_at.is_(None), RevisionRow.state != State.HELD)
                .order_by(RevisionRow.id)
            ).all()
        for revision_id, workflow_id in waiting:
            with SetWorkflowID(workflow_id):
                DBOS.enqueue_workflow(workflows.REVIEWS, workflows.arrival, revision_id)
            with self._context.database.write() as session:
                session.get_one(RevisionRow, revision_id).dispatched_at = now()
        return len(waiting)

    def _dispatch_forever(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                if self._context.settings.work and self._lease is not None:
                    self._relieve(self._lease)
                    if self._lease.leads():
                        self._lead()
            except Exception as error:  # noqa: BLE001 - tried again a second later, whatever it was
                log.warning(
                    "arrivals, reports or the revocation list not handed over yet",
                    reason=f"{type(error).__name__}: {error}",
                )
            self._wake.wait(timeout=_DISPATCH_SECONDS)

    def _lead(self) -> None:
        """What one worker does for all of a data folder."""
        self.dispatch()
        self._expire()
        builds.finish(self._context)
        for destination in outbox.due(self._context.database, now()):
            workflows.hand_over(destination)
        self._ask()
        if ledger.due(self._context):
            with self._context.exclusive("revocations"):
                ledger.revocation_list(self._context)

    def _relieve(self, lease: Lease) -> None:
        """Hand what workers have left whose process ended to those that live; each such worker is seen to once."""
        if time.monotonic() - self._looked < _DEAD_SECONDS:
            return
        self._looked = time.monotonic()
        for name in lease.dead():
            self._recover(name, lease)
        pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        for name in {status.executor_id or "" for status in pending} - lease.names():
            self._recover(name, lease)

    def _recover(self, name: str, lease: Lease) -> None:
        log.info("taking over from a worker that ended", worker=name)
        DBOS._recover_pending_workflows([name])  # noqa: SLF001 - DBOS's own conductor calls it; there is no other way
        self._begin_anew(lease, name)
        steps.empty_work(self._context, name)

    def _ask(self) -> None:
        """Have code hosts asked what was missed: once at the beginning, and then as often as is set."""
        every = timedelta(minutes=self._context.settings.reconcile_minutes)
        if every and (self._asked_at is None or now() - self._asked_at >= every):
            self._asked_at = now()
            for platform in self._context.platforms:
                if platform.api_base is not None:
                    workflows.ask(platform.name)

    def _expire(self) -> None:
        """Once a minute: what ran out is told as expired, and rollouts and owed reviews that are missing are found."""
        if self._expired_at is None or now() - self._expired_at >= _EXPIRY_EVERY:
            self._expired_at = now()
            expiry.expire(self._context, now())
            incidents.look(self._context, now())
            later_reviews.look(self._context, now())
            outbox.tidy(self._context.database, now())

    def _begin_anew(self, lease: Lease, gone: str = "") -> None:
        """Begin again what a process of another version left in the middle: recovery would never take it up.

        Nothing of an unfinished review is kept, so that no verdict joins documents of two versions; one that has ended
        gets what comes after it. What a worker that lives has is left to it; ``gone`` is the name of one that does not.
        """
        others = lease.names() - {lease.name, gone}
        with self._context.exclusive("begin-anew"):
            for status in DBOS.list_workflows(status=_UNFINISHED, load_output=False):
                waits = status.status != "PENDING"
                if status.app_version == workflows.VERSION or (others if waits else status.executor_id in others):
                    continue
                if status.name in _BEGUN_ANEW:
                    DBOS.delete_workflow(status.workflow_id)
                    continue
                revision_id = _revision_of(status)
                if status.name == workflows.arrival.__name__:
                    ended = not progress.begin_again(self._context.database, revision_id)
                    if ended:
                        self._after_review(revision_id)
                DBOS.delete_workflow(status.workflow_id)

    def _after_review(self, revision_id: int) -> None:
        """What follows a verdict, done again without harm if it was done."""
        try:
            signing.carry_over(self._context, revision_id)
            steps.countersign(self._context, revision_id)
        except Exception:
            log.exception("what follows the review of revision %d could not be done", revision_id)

    def _give_up(self) -> None:
        """Fail the revisions whose workflow was recovered too often: something about them ends the process."""
        for status in DBOS.list_workflows(status="MAX_RECOVERY_ATTEMPTS_EXCEEDED", name="arrival", load_output=False):
            revision_id = _revision_of(status)
            if State.FAILED in MOVES[progress.job(self._context.database, revision_id).state]:
                progress.fail(self._context.database, revision_id, _GIVEN_UP)


def _revision_of(status: WorkflowStatus) -> int:
    """The revision that a workflow is about: its one argument."""
    return int((status.input or {"args": [0]})["args"][0])


def _system_database(settings: Settings) -> str:
    """Where DBOS keeps how far workflows have got: beside the service's tables on PostgreSQL, in a file of its own."""
    if settings.database_url is not None:
        return postgresql_url(settings.database_url.get_secret_value())
    return f"sqlite:///{(settings.data / 'dbos.sqlite').resolve()}"
