# SPDX-License-Identifier: Apache-2.0
"""Run by Alembic: migrations happen on the connection that the service opened."""

from alembic import context

from service.database import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
