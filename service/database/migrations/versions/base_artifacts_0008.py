# SPDX-License-Identifier: Apache-2.0
"""What base's declared artifacts were when a revision was fetched."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Forwards."""
    with op.batch_alter_table("revision") as table:
        table.add_column(sa.Column("base_artifacts_digest", sa.String(length=71), nullable=True))
