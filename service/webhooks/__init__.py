# SPDX-License-Identifier: Apache-2.0
"""How code hosts tell of changes: each an entry of one table, behind one door."""

from service.webhooks._body import raw_body
from service.webhooks._door import HOSTS, router

__all__ = ["HOSTS", "raw_body", "router"]
