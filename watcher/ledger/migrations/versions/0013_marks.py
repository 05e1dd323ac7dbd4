"""how far the rows of a calendar that is not kept current say so"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

WORDS = {"mark": 10, "mark_after": 140}


def upgrade() -> None:
    for name, length in WORDS.items():
        column = sa.Column(name, sa.String(length=length), nullable=False, server_default="")
        op.add_column("calendars", column)
    op.add_column("calendars", sa.Column("mark_since", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for name in ("mark_since", *WORDS):
        op.drop_column("calendars", name)
