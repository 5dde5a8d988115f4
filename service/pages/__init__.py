# SPDX-License-Identifier: Apache-2.0
"""The reviewer's pages: routers, and the two pages that the application itself asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.pages import (
    author,
    behavior,
    change,
    evidence_files,
    files,
    log,
    models,
    passkeys,
    people,
    policy,
    public,
    queue,
    sign,
    since,
    style,
    threads,
    words,
)
from service.pages.doors import error_page, sign_in_page

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["error_page", "routers", "sign_in_page"]

routers: tuple[APIRouter, ...] = (
    queue.router,
    change.router,
    author.router,
    files.router,
    behavior.router,
    models.router,
    sign.router,
    since.router,
    threads.router,
    evidence_files.router,
    log.router,
    people.router,
    policy.router,
    public.router,
    passkeys.router,
    words.router,
    style.router,
)
