"""names of employees, when a calendar last changed, when a link was mailed, how long reading took"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
CHANGED = """
UPDATE calendars SET changed_at = (
    SELECT max(runs.started_at) FROM runs
    WHERE runs.calendar_id = calendars.id
      AND (runs.created > 0 OR runs.updated > 0 OR runs.cancelled > 0)
)
"""
"""As far back as the diary goes."""


def upgrade() -> None:
    for name in ("full_name", "employee"):
        column = sa.Column(name, sa.String(length=140), nullable=False, server_default="")
        op.add_column("accounts", column)
    op.add_column("calendars", sa.Column("changed_at", MOMENT, nullable=True))
    op.execute(CHANGED)
    op.add_column("invitations", sa.Column("mailed_at", MOMENT, nullable=True))
    op.add_column("runs", sa.Column("read_seconds", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("runs", "read_seconds")
    op.drop_column("invitations", "mailed_at")
    op.drop_column("calendars", "changed_at")
    op.drop_column("accounts", "employee")
    op.drop_column("accounts", "full_name")
