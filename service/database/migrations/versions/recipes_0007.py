# SPDX-License-Identifier: Apache-2.0
"""Recipes that hang on a revision, and builds under them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Forwards."""
    op.create_table(
        "recipe",
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("revision_id", _ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stop_digest", sa.String(length=71), nullable=True),
        sa.Column("stop_reason", sa.Text(), nullable=True),
        sa.Column("stop_index", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name=op.f("fk_recipe_revision_id_revision")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_recipe")),
    )
    with op.batch_alter_table("recipe", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recipe_revision_id"), ["revision_id"], unique=False)
    op.create_table(
        "build",
        sa.Column("revision_id", _ID, nullable=False),
        sa.Column("recipe", sa.String(length=71), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("measures_digest", sa.String(length=71), nullable=True),
        sa.Column("payload_digest", sa.String(length=71), nullable=True),
        sa.Column("envelope_digest", sa.String(length=71), nullable=True),
        sa.Column("log_index", sa.Integer(), nullable=True),
        sa.Column("outside", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["recipe"], ["recipe.digest"], name=op.f("fk_build_recipe_recipe")),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name=op.f("fk_build_revision_id_revision")),
        sa.PrimaryKeyConstraint("revision_id", name=op.f("pk_build")),
    )
    with op.batch_alter_table("build", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_build_recipe"), ["recipe"], unique=False)
