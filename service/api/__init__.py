# SPDX-License-Identifier: Apache-2.0
"""The API, version 1: what CI sends and asks. Errors are RFC 9457 problem+json."""

from fastapi import APIRouter

from service.api import artifacts, asked, changes, decisions, threads

router = APIRouter()
router.include_router(artifacts.router)
router.include_router(asked.router)
router.include_router(changes.router)
router.include_router(decisions.router)
router.include_router(threads.router)

__all__ = ["router"]
