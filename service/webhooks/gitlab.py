# SPDX-License-Identifier: Apache-2.0
"""GitLab: a token in a header, or a signature in the form of Standard Webhooks. https://docs.gitlab.com/user/project/integrations/webhooks/."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence import AuthenticationError
from service.webhooks._gitlab_payload import read_merge_request, read_pipeline, read_push
from service.webhooks._hosts import CodeHost
from service.webhooks._signatures import STANDARD_PREFIX, matching, same, standard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.settings import Platform

_REFUSED = "neither X-Gitlab-Token nor webhook-signature is of a secret known here: check the webhook's settings"


def _verify(platforms: Sequence[Platform], headers: Mapping[str, str], body: bytes) -> tuple[Platform, ...]:
    """By signature where there is one, else by token. A signing token is never sent, so it is no token."""
    if headers.get("webhook-signature"):
        try:
            return matching(platforms, "gitlab", standard(headers, body), _REFUSED)
        except AuthenticationError:
            if not headers.get("x-gitlab-token"):
                raise
    given = headers.get("x-gitlab-token", "")

    def holds(secret: str) -> bool:
        return same(given, secret) and not secret.startswith(STANDARD_PREFIX)

    return matching(platforms, "gitlab", holds, _REFUSED)


GITLAB = CodeHost(
    name="gitlab",
    verify=_verify,
    event=("X-Gitlab-Event",),
    delivery=("webhook-id", "Idempotency-Key"),
    readers={
        "Merge Request Hook": read_merge_request,
        "Push Hook": read_push,
        "Pipeline Hook": read_pipeline,
    },
)
