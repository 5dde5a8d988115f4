# SPDX-License-Identifier: Apache-2.0
"""What is closed at the code host, what waits to be let through, and deployments that code hosts ask about."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Forwards."""
    identifier = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "closed",
        sa.Column("change_id", identifier, nullable=False),
        sa.Column("how", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["change_id"], ["change.id"], name=op.f("fk_closed_change_id_change")),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_closed")),
    )
    with op.batch_alter_table("revision") as table:
        table.add_column(sa.Column("approved", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.create_table(
        "deployment",
        sa.Column("id", identifier, nullable=False),
        sa.Column("platform", sa.String(length=63), nullable=False),
        sa.Column("repository", sa.String(length=400), nullable=False),
        sa.Column("environment", sa.String(length=400), nullable=False),
        sa.Column("head_commit", sa.String(length=64), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment")),
        sa.UniqueConstraint(
            "platform",
            "repository",
            "run",
            "environment",
            name=op.f("uq_deployment_platform_repository_run_environment"),
        ),
    )
