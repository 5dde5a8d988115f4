# SPDX-License-Identifier: Apache-2.0
"""Standard Webhooks with a submission of our own, for senders that are no code host. https://www.standardwebhooks.com."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence import InputError
from service.happenings import Ignored
from service.proposals import read_submission, submission_arrival
from service.webhooks._hosts import CodeHost
from service.webhooks._shapes import covering
from service.webhooks._signatures import matching, standard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evidence import Json
    from service.happenings import Meaning
    from service.settings import Platform

EVENT = "change.submitted"
_REFUSED = "webhook-signature does not match id, moment and body: check the webhook's secret"


def _verify(platforms: Sequence[Platform], headers: Mapping[str, str], body: bytes) -> tuple[Platform, ...]:
    return matching(platforms, None, standard(headers, body), _REFUSED)


def read_change(document: Json, platforms: tuple[Platform, ...]) -> Meaning:
    """The submission that a delivery is, bare or as the ``data`` of a ``change.submitted``.

    Raises:
        InputError: it is none, or none of ``platforms`` covers the repository.
    """
    if not isinstance(document, dict):
        raise InputError("webhook body: not an object")
    if "type" in document:
        kind = document["type"]
        if kind != EVENT:
            return Ignored(f"type {str(kind)[:64]} is not reviewed: {EVENT} is")
        document = document.get("data")
    submission = read_submission(document)
    platform, _ = covering(submission.repository[:200], platforms)
    return submission_arrival(submission, platform)


STANDARD = CodeHost(
    name="standard",
    verify=_verify,
    event=(),
    default_event=EVENT,
    delivery=("webhook-id",),
    needs_id=True,
    readers={EVENT: read_change},
)
