# SPDX-License-Identifier: Apache-2.0
"""The three changes, sent as a code host sends them: signed webhooks over HTTP. Sent again, they are repeats."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from typing import TYPE_CHECKING

import httpx2
import structlog

from evidence import canonical, parse_json
from service.demo.platform import REPOSITORY

if TYPE_CHECKING:
    from evidence import Json
    from service.demo.platform import Demo

_OPENED = "2026-01-05T09:00:00Z"
_TIMEOUT = httpx2.Timeout(60.0)

log = structlog.get_logger("countersign")


def deliver(demo: Demo) -> None:
    """Send every change of the demonstration to the service's own webhook."""
    changes = parse_json((demo.place / "changes.json").read_bytes(), "changes.json")
    url = f"http://{demo.settings.host}:{demo.settings.port}/webhooks/github"
    with httpx2.Client(timeout=_TIMEOUT, trust_env=False) as client:
        for change in changes:
            body = canonical(_payload(change))
            signature = hmac.new(demo.secret.encode(), body, hashlib.sha256).hexdigest()
            headers = {
                "Content-Type": "application/json",
                "X-GitHub-Event": "pull_request",
                "X-GitHub-Delivery": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{REPOSITORY}/{change['head']}")),
                "X-Hub-Signature-256": f"sha256={signature}",
            }
            answer = client.post(url, content=body, headers=headers)
            log.info("delivered pull request %s: HTTP %s", change["number"], answer.status_code)


def _payload(change: Json) -> Json:
    """A ``pull_request`` event as GitHub sends it, as far as anything reads it."""
    return {
        "action": "opened",
        "number": change["number"],
        "pull_request": {
            "number": change["number"],
            "title": change["title"],
            "body": change.get("description", ""),
            "html_url": f"https://code.shortvideo.example/{REPOSITORY}/pull/{change['number']}",
            "user": {"login": change["author"]},
            "base": {"ref": "main", "sha": change["base"]},
            "head": {"ref": change["branch"], "sha": change["head"]},
            "updated_at": _OPENED,
        },
        "repository": {"full_name": REPOSITORY, "default_branch": "main"},
        "sender": {"login": change["author"]},
    }
