"""how many cancellations of a pass wait for a person"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    held = sa.Column("held", sa.Integer(), nullable=False, server_default="0")
    op.add_column("runs", held)


def downgrade() -> None:
    op.drop_column("runs", "held")
