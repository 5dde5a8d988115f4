# SPDX-License-Identifier: Apache-2.0
"""What gates decided, what was rolled out, and where the one is without the other."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Forwards."""
    op.create_table(
        "decision",
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("platform", sa.String(length=63), nullable=False),
        sa.Column("gate", sa.String(length=1000), nullable=False),
        sa.Column("repository", sa.String(length=1000), nullable=False),
        sa.Column("revision", sa.String(length=71), nullable=True),
        sa.Column("head_commit", sa.String(length=64), nullable=True),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_decision")),
    )
    op.create_table(
        "rollout",
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("platform", sa.String(length=63), nullable=False),
        sa.Column("repository", sa.String(length=400), nullable=False),
        sa.Column("revision", sa.String(length=71), nullable=True),
        sa.Column("head_commit", sa.String(length=64), nullable=False),
        sa.Column("rolled_out_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_rollout")),
    )
    op.create_table(
        "incident",
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=71), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("log_index", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kind", "subject", name=op.f("pk_incident")),
    )
