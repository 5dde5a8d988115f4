# SPDX-License-Identifier: Apache-2.0
"""Where a gate's decision is in the log, and by when the review is due that broken glass owes."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Forwards."""
    with op.batch_alter_table("decision") as table:
        table.add_column(sa.Column("log_index", sa.Integer(), nullable=True))
        table.add_column(sa.Column("review_by", sa.DateTime(timezone=True), nullable=True))
        table.create_index(op.f("ix_decision_review_by"), ["review_by"])
