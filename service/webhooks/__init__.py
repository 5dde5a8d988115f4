# SPDX-License-Identifier: Apache-2.0
"""How code hosts tell of changes: each an entry of one table, behind one door."""

from service.webhooks._body import raw_body
from service.webhooks._door import HOSTS, router
from service.webhooks._signatures import signing_key
from service.webhooks._state import Stated, addresses, stated
from service.webhooks._state import headers as api_headers

__all__ = ["HOSTS", "Stated", "addresses", "api_headers", "raw_body", "router", "signing_key", "stated"]
