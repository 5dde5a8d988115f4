# SPDX-License-Identifier: Apache-2.0
"""Where rollouts and incidents are in the log, once they are, and which sign-offs are expedited ones."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Forwards."""
    with op.batch_alter_table("rollout") as table:
        table.add_column(sa.Column("log_index", sa.Integer(), nullable=True))
        table.create_index(op.f("ix_rollout_log_index"), ["log_index"])
    with op.batch_alter_table("incident") as table:
        table.alter_column("log_index", existing_type=sa.Integer(), nullable=True)
    with op.batch_alter_table("signoff") as table:
        table.add_column(sa.Column("expedited", sa.Boolean(), nullable=True))
        table.create_index(op.f("ix_signoff_expedited"), ["expedited"])
