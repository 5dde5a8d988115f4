# SPDX-License-Identifier: Apache-2.0
"""Which decisions and rollouts have found one another, so that nobody looks at them again."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Forwards."""
    for name in ("decision", "rollout"):
        with op.batch_alter_table(name) as table:
            table.add_column(sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True))
            table.create_index(op.f(f"ix_{name}_answered_at"), ["answered_at"])
            table.create_index(op.f(f"ix_{name}_head_commit"), ["head_commit"])
    with op.batch_alter_table("rollout") as table:
        table.create_index(op.f("ix_rollout_reported_at"), ["reported_at"])
        table.create_index("ix_rollout_platform_repository", ["platform", "repository"])
