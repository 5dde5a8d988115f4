# SPDX-License-Identifier: Apache-2.0
"""What comparing a revision's declared artifacts gave."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Forwards."""
    with op.batch_alter_table("revision") as table:
        table.add_column(sa.Column("artifacts_digest", sa.String(length=71), nullable=True))
