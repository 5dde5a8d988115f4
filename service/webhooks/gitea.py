# SPDX-License-Identifier: Apache-2.0
"""Gitea and Forgejo: HMAC-SHA256 over the raw body, and payloads much like GitHub's. https://docs.gitea.com/usage/webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.webhooks._github_payload import read_pull_request, read_push
from service.webhooks._hosts import CodeHost
from service.webhooks._signatures import hex_hmac, matching, same

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.settings import Platform

_SIGNATURES = ("x-forgejo-signature", "x-gitea-signature", "x-hub-signature-256")


def _verify(platforms: Sequence[Platform], headers: Mapping[str, str], body: bytes) -> tuple[Platform, ...]:
    given = [headers.get(name, "").removeprefix("sha256=") for name in _SIGNATURES]

    def holds(secret: str) -> bool:
        expected = hex_hmac(secret, body)
        return any([same(one, expected) for one in given])  # noqa: C419 - all are looked at

    refused = "X-Gitea-Signature or X-Forgejo-Signature does not match the body: check the webhook's secret"
    return matching(platforms, "gitea", holds, refused)


GITEA = CodeHost(
    name="gitea",
    verify=_verify,
    event=("X-Forgejo-Event", "X-Gitea-Event"),
    delivery=("X-Forgejo-Delivery", "X-Gitea-Delivery"),
    needs_id=True,
    readers={"pull_request": read_pull_request, "pull_request_sync": read_pull_request, "push": read_push},
)
