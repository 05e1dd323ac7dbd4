"""until when a calendar that is told of without end rests"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calendars", sa.Column("paced_until", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("calendars", "paced_until")
