"""whether a channel was ever heard, and which processes run"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
HEARD = """
UPDATE channels SET heard_at = coalesce(
    last_message_at,
    (SELECT min(runs.started_at) FROM runs
     WHERE runs.calendar_id = channels.calendar_id AND runs.reason = 'push'
       AND runs.started_at >= channels.opened_at)
)
"""
"""A channel that had a message was heard. Of a message that a waiting job served nothing was
written but the pass, which has it as its reason."""


def upgrade() -> None:
    op.add_column("channels", sa.Column("heard_at", MOMENT, nullable=True))
    op.execute(HEARD)
    op.create_table(
        "processes",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("host", sa.String(length=80), nullable=False),
        sa.Column("address", sa.String(length=120), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("restarts", sa.Integer(), nullable=False),
        sa.Column("unwell_since", MOMENT, nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_processes")),
    )


def downgrade() -> None:
    op.drop_table("processes")
    op.drop_column("channels", "heard_at")
