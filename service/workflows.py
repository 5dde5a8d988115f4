# SPDX-License-Identifier: Apache-2.0
"""Reviews as durable workflows (DBOS): a killed process goes on at the step it was in.

``arrival`` is keyed by host, repository and head commit; ``audit`` by the digest of revision, panel, policy and
version, so that the same audit is never run twice and a new panel audits again; ``deliver`` tries what the outbox has
for one destination. Steps return documents, errors included: what a step raised is not the same object after a restart.
"""

from __future__ import annotations

import time
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec

import structlog
from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

from service import delivering, failures, metrics, outbox, progress, reconciling, signing, steps
from service.life import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from evidence import Json
    from service.context import Context
    from service.draining import Gate

_P = ParamSpec("_P")

VERSION = "workflows-4"  # recovery is per version: raise it when the order of steps changes

REVIEWS = "reviews"
AUDITS = "audits"
OUTBOX = "outbox"

FETCHES = 6  # with the default waits, over about a minute

_ATTEMPTS = 4
_POLL_SECONDS = 0.2

log = structlog.get_logger("countersign")

_bound: list[tuple[Context, Gate]] = []


def bind(context: Context, gate: Gate) -> None:
    """The data folder that workflows of this process work on, and what lets their steps begin."""
    _bound[:] = [(context, gate)]


def _context() -> Context:
    return _bound[0][0]


@DBOS.workflow(name="arrival")
def arrival(revision_id: int) -> str:
    """Review one revision from fetch to verdict; returns the verdict, ``error`` or ``superseded``."""
    verdict = _review(revision_id)
    if verdict != State.SUPERSEDED.value:
        _announce(revision_id, verdict)
    return verdict


def _review(revision_id: int) -> str:
    for run in (_fetch_patiently, _diff, _weigh, _audit):
        outcome = run(revision_id)
        if _superseded(revision_id)["superseded"]:
            return State.SUPERSEDED.value
        if "error" in outcome:
            return _failed(revision_id, outcome)
    outcome = _conclude(revision_id, outcome)
    if "error" in outcome:
        return _failed(revision_id, outcome)
    _carry_over(revision_id)
    _countersign(revision_id)
    return str(outcome["verdict"])


def _fetch_patiently(revision_id: int) -> Json:
    """Fetch, and while the code host cannot be reached wait and try again; the waits double."""
    outcome = _fetch(revision_id)
    for attempt in range(FETCHES - 1):
        if outcome.get("error", {}).get("error_class") != steps.UnreachableError.problem:
            break
        DBOS.sleep(outbox.backoff(_context().settings.retry_seconds, attempt))
        outcome = _fetch(revision_id)
    return outcome


def _audit(revision_id: int) -> Json:
    """The audit that this revision needs: run now, running already, or done before for the same digest."""
    outcome = _audit_key(revision_id)
    if "error" in outcome:
        return outcome
    with SetWorkflowID(f"audit:{outcome['digest']}"):
        handle = DBOS.enqueue_workflow(AUDITS, audit, revision_id)
    result: Json = handle.get_result(polling_interval_sec=_POLL_SECONDS)
    return result


def _failed(revision_id: int, outcome: Json) -> str:
    _fail(revision_id, outcome["error"])
    _countersign(revision_id)
    return "error"


@DBOS.workflow(name="audit")
def audit(revision_id: int) -> Json:
    """Run base and head over the panel; returns the digests of the audit's documents, or the error."""
    return _behave(revision_id)


@DBOS.workflow(name="deliver")
def deliver(destination: str) -> int:
    """Try what the outbox has for one destination, one after the other, until one is not taken; returns how many."""
    for count in range(delivering.AT_ONCE):
        with _bound[0][1].step():
            more = _deliver_next(destination)
        if not more:
            return count
    return delivering.AT_ONCE


@DBOS.step(name="deliver-next")
def _deliver_next(destination: str) -> bool:
    return delivering.try_next(_context(), destination)


def hand_over(destination: str) -> None:
    """Have a destination's messages delivered, unless somebody is at it: one at a time keeps their order."""
    with SetEnqueueOptions(deduplication_id=destination, duplication_policy="return-existing"):
        DBOS.enqueue_workflow(OUTBOX, deliver, destination)


@DBOS.workflow(name="reconcile")
def reconcile(platform: str) -> int:
    """Ask a platform's code host what was missed; returns how much that was."""
    with _bound[0][1].step():
        return _reconcile(platform)


@DBOS.step(name="reconcile-platform")
def _reconcile(platform: str) -> int:
    return reconciling.reconcile(_context(), platform)


def ask(platform: str) -> None:
    """Have a platform's code host asked, unless it is being asked."""
    with SetEnqueueOptions(deduplication_id=f"ask:{platform}", duplication_policy="return-existing"):
        DBOS.enqueue_workflow(OUTBOX, reconcile, platform)


def _step(name: str) -> Callable[[Callable[Concatenate[int, _P], Json]], Callable[Concatenate[int, _P], Json]]:
    """A step that is tried again when the error may pass by itself, and otherwise returns it as ``{"error": …}``.

    Every line that it logs carries the revision's id. It does not begin once this process drains.
    """

    def wrapped(function: Callable[Concatenate[int, _P], Json]) -> Callable[Concatenate[int, _P], Json]:
        @DBOS.step(name=name, retries_allowed=True, interval_seconds=0.5, max_attempts=_ATTEMPTS)
        @wraps(function)
        def run(revision_id: int, /, *args: _P.args, **kwargs: _P.kwargs) -> Json:
            with structlog.contextvars.bound_contextvars(revision=revision_id, step=name):
                try:
                    return function(revision_id, *args, **kwargs)
                except Exception as error:
                    again = failures.transient(error) and _attempts_left()
                    told = failures.to_json(failures.describe(error))
                    unforeseen = told["error_class"] == failures.INTERNAL and not again
                    log.warning("a step failed", error=type(error).__name__, again=again, exc_info=unforeseen)
                    if again:
                        raise
                    return {"error": told}

        def gated(revision_id: int, /, *args: _P.args, **kwargs: _P.kwargs) -> Json:
            with _bound[0][1].step():
                began = time.monotonic()
                result = run(revision_id, *args, **kwargs)
            outcome = "error" if "error" in result else "done"
            metrics.STEPS.labels(name, outcome).observe(time.monotonic() - began)
            return result

        return gated

    return wrapped


def _attempts_left() -> bool:
    status = DBOS.step_status
    return status is not None and (status.current_attempt or 0) + 1 < _ATTEMPTS


@_step("fetch")
def _fetch(revision_id: int) -> Json:
    steps.fetch(_context(), revision_id)
    return {}


@_step("diff")
def _diff(revision_id: int) -> Json:
    steps.compare(_context(), revision_id)
    return {}


@_step("artifacts")
def _weigh(revision_id: int) -> Json:
    steps.weigh(_context(), revision_id)
    return {}


@_step("audit-key")
def _audit_key(revision_id: int) -> Json:
    return {"digest": steps.audit_key(_context(), revision_id)}


@_step("behave")
def _behave(revision_id: int) -> Json:
    return steps.behave(_context(), revision_id)


@_step("conclude")
def _conclude(revision_id: int, outcome: Json) -> Json:
    steps.take_audit(_context(), revision_id, outcome)
    return {"verdict": steps.conclude(_context(), revision_id)}


@_step("carry-over")
def _carry_over(revision_id: int) -> Json:
    """Votes on an earlier revision of the same content; where that fails, people vote again."""
    signing.carry_over(_context(), revision_id)
    return {}


@_step("countersign")
def _countersign(revision_id: int) -> Json:
    """A build under a recipe is countersigned, or its lane stops; where that fails, it waits for people."""
    steps.countersign(_context(), revision_id)
    return {}


@_step("fail")
def _fail(revision_id: int, error: Json) -> Json:
    progress.fail(_context().database, revision_id, failures.from_json(error))
    return {}


@_step("superseded")
def _superseded(revision_id: int) -> Json:
    """Whether this workflow has nothing more to do: held, it goes on as another one, maybe by now."""
    job = progress.job(_context().database, revision_id)
    left = {State.SUPERSEDED, State.HELD, State.OUTSIDE}
    return {"superseded": job.state in left or job.workflow_id != DBOS.workflow_id}


@_step("announce")
def _announce(revision_id: int, verdict: str) -> Json:
    """The one line of a review in the service's log."""
    log.info("reviewed %s: %s", progress.job(_context().database, revision_id).title, verdict)
    return {}
