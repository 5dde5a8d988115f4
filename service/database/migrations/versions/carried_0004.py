# SPDX-License-Identifier: Apache-2.0
"""Votes that count for a later revision too."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Forwards."""
    op.create_table(
        "carried",
        sa.Column("revision_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("envelope_digest", sa.String(length=71), nullable=False),
        sa.Column("log_index", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name=op.f("fk_carried_revision_id_revision")),
        sa.ForeignKeyConstraint(["nonce"], ["signoff.nonce"], name=op.f("fk_carried_nonce_signoff")),
        sa.PrimaryKeyConstraint("revision_id", "nonce", name=op.f("pk_carried")),
    )
