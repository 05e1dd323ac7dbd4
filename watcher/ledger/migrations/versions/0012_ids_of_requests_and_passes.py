"""ids by which one change is followed from its notification to ERPNext"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

def upgrade() -> None:
    for table in ("calendars", "runs"):
        told_by = sa.Column("told_by", sa.Text(), nullable=False, server_default="")
        op.add_column(table, told_by)
    trace = sa.Column("trace", sa.String(length=32), nullable=False, server_default="")
    op.add_column("runs", trace)


def downgrade() -> None:
    op.drop_column("runs", "trace")
    for table in ("runs", "calendars"):
        op.drop_column(table, "told_by")
