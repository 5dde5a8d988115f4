# SPDX-License-Identifier: Apache-2.0
"""The builds of a log, held against one another: under a recipe each names the one before, and none is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from evidence import CountersignError, VerificationError, sha256_hex
from signoff.builds import BUILD_LEAF, STOP_LEAF, read_build, read_stop
from signoff.envelope import Envelope, verify_envelope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from signoff.builds import BuildStatement
    from signoff.roots import Roots

_STEP = "builds"


class _Last(NamedTuple):
    entry: int
    statement: BuildStatement
    sha256: str


class BuildChains:
    """The chains of builds of one log, taken entry by entry, in the log's order.

    What is *not* checked: that a build is within its recipe's bounds, which takes the recipe and its measures; a bundle
    holds them, and the gate looks.
    """

    def __init__(self, roots: Roots) -> None:
        self._lanes = [entry.key for lane in roots.build_lanes for entry in lane.keys]
        self._service = [entry.key for entry in roots.service_keys]
        self._last: dict[str, _Last] = {}
        self._stopped: dict[str, int] = {}
        self.count = 0

    def take(self, index: int, document: Mapping[str, Any]) -> BuildStatement | None:
        """Hold an entry of the log against those before it; the build's statement if it is one.

        Raises:
            VerificationError: signed by no lane of the roots; not the next build of its recipe, or naming another one
                before it; or logged after its lane had stopped.
        """
        kind = document.get("type")
        if kind not in {BUILD_LEAF, STOP_LEAF}:
            return None
        try:
            envelope = Envelope.from_json(document["envelope"])
            verify_envelope(envelope, self._lanes if kind == BUILD_LEAF else self._service)
            if kind == STOP_LEAF:
                self._stopped.setdefault(read_stop(envelope.payload).subject[0].digest.sha256, index)
                return None
            statement = read_build(envelope.payload)
        except CountersignError as error:
            raise VerificationError(_STEP, f"log entry {index}: {error}") from error
        self._follow(_Last(index, statement, sha256_hex(envelope.payload)))
        self.count += 1
        return statement

    def _follow(self, build: _Last) -> None:
        predicate = build.statement.predicate
        recipe, where = predicate.recipe.sha256, f"the build at log entry {build.entry}"
        before, stopped = self._last.get(recipe), self._stopped.get(recipe)
        if stopped is not None:
            raise VerificationError(_STEP, f"{where} was logged after its lane had stopped, at log entry {stopped}")
        number = 1 if before is None else before.statement.predicate.number + 1
        if predicate.number != number:
            raise VerificationError(
                _STEP, f"{where} is number {predicate.number} of its recipe, where {number} is next"
            )
        if before is not None and predicate.previous is not None:
            named = (predicate.previous.statement.sha256, predicate.previous.signedAt)
            if named != (before.sha256, before.statement.predicate.signedAt):
                raise VerificationError(_STEP, f"{where} names another build before it than log entry {before.entry}")
        self._last[recipe] = build
