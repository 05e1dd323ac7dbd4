"""the consent to a held sweep: for how many cancellations, instead of for whatever there will be"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calendars", sa.Column("sweep_shown", sa.Integer(), nullable=True))
    op.add_column("calendars", sa.Column("sweep_allowed", sa.Integer(), nullable=True))
    # A consent that is still loaded was given for figures that nobody has kept: it ends.
    op.drop_column("calendars", "force_sweep")


def downgrade() -> None:
    op.add_column(
        "calendars",
        sa.Column("force_sweep", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.drop_column("calendars", "sweep_allowed")
    op.drop_column("calendars", "sweep_shown")
