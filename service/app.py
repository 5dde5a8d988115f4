# SPDX-License-Identifier: Apache-2.0
"""The web application: webhooks, API, pages, the public log, health. Built from settings, started by its lifespan."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.staticfiles import StaticFiles

from evidence import VERSION, CountersignError
from service import api, pages, problems, signing, trust, webhooks
from service.accounts import Accounts
from service.ci_tokens import Issuers
from service.context import Context
from service.doors import doors
from service.guards import FormLimit, SameOrigin, StrictHeaders
from service.metrics import CountWebhooks
from service.public_log import router as public_log
from service.reviews import Reviews
from service.views import Person
from service.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.settings import Settings

MAX_FORM = 2 << 20
STATIC = Path(__file__).parent / "static"


def create_app(settings: Settings) -> FastAPI:
    """The application on the data folder of ``settings``, which is opened and migrated here.

    Nothing is loaded from elsewhere: FastAPI's own documentation pages, which do, are off.

    Raises:
        InputError: the platforms file cannot be used.
    """
    context = Context.open(settings)
    trust.prepare(context)
    signing.finish(context)
    worker = Worker(context)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            await run_in_threadpool(worker.start)
        except CountersignError as error:
            app.state.refused = error
            raise
        yield
        await run_in_threadpool(worker.stop)
        context.close()

    app = FastAPI(
        title="Countersign", version=VERSION, docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan
    )
    app.state.settings = settings
    app.state.refused = None
    app.state.context = context
    app.state.platforms = context.platforms
    app.state.database = context.database
    app.state.worker = worker
    app.state.issuers = Issuers()
    app.state.accounts = Accounts(context.database)
    app.state.accounts.enrol(
        Person(settings.reviewer_id, settings.reviewer_name, settings.reviewer_organization, "reviewer")
    )
    app.state.reviews = Reviews(context, on_change=worker.wake)
    app.include_router(webhooks.router)
    app.include_router(api.router)
    app.include_router(doors)
    app.include_router(public_log)
    for router in pages.routers:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False))
    app.add_middleware(FormLimit, limit=MAX_FORM)
    app.add_middleware(SameOrigin)
    app.add_middleware(CountWebhooks)
    app.add_middleware(StrictHeaders, https=settings.url.startswith("https://"))
    problems.install(app)
    return app
