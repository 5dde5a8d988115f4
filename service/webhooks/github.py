# SPDX-License-Identifier: Apache-2.0
"""GitHub: HMAC-SHA256 over the raw body. https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.webhooks._github_payload import (
    read_check,
    read_deployment,
    read_merge_group,
    read_ping,
    read_pull_request,
    read_push,
)
from service.webhooks._hosts import CodeHost
from service.webhooks._signatures import hex_hmac, matching, same

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.settings import Platform


def _verify(platforms: Sequence[Platform], headers: Mapping[str, str], body: bytes) -> tuple[Platform, ...]:
    given = headers.get("x-hub-signature-256", "")
    refused = "X-Hub-Signature-256 does not match the body: check the webhook's secret"
    return matching(platforms, "github", lambda secret: same(given, f"sha256={hex_hmac(secret, body)}"), refused)


GITHUB = CodeHost(
    name="github",
    verify=_verify,
    event=("X-GitHub-Event",),
    delivery=("X-GitHub-Delivery",),
    needs_id=True,
    readers={
        "pull_request": read_pull_request,
        "push": read_push,
        "check_run": read_check,
        "check_suite": read_check,
        "merge_group": read_merge_group,
        "deployment_protection_rule": read_deployment,
        "ping": read_ping,
    },
)
