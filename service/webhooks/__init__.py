# SPDX-License-Identifier: Apache-2.0
"""How code hosts tell of changes."""

from service.webhooks._body import raw_body
from service.webhooks.github import router as github
from service.webhooks.github import signed_by

__all__ = ["github", "raw_body", "signed_by"]
