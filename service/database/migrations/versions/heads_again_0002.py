# SPDX-License-Identifier: Apache-2.0
"""A head can be reviewed again, as a later revision of its change."""

from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Forwards."""
    with op.batch_alter_table("revision") as table:
        table.drop_constraint(op.f("uq_revision_change_id_head_commit"), type_="unique")
