# SPDX-License-Identifier: Apache-2.0
"""The API, version 1: what CI sends and asks. Errors are RFC 9457 problem+json."""

from service.api.changes import router

__all__ = ["router"]
