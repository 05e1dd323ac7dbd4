"""what ERPNext refuses, in kinds and with the time of the next try; rows that others touch"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXTS = (
    ("quarantine", "series", sa.String(length=1024)),
    ("quarantine", "cause", sa.String(length=80)),
    ("quarantine", "kind", sa.String(length=12)),
    ("quarantine", "alike", sa.String(length=300)),
    ("quarantine", "step", sa.Text()),
    ("calendars", "rows_seen", sa.String(length=26)),
    ("calendars", "step", sa.Text()),
)


def upgrade() -> None:
    for table, name, kind in TEXTS:
        op.add_column(table, sa.Column(name, kind, nullable=False, server_default=""))
    op.add_column("quarantine", sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("calendars", sa.Column("look_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "erased",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("row_name", sa.String(length=140), nullable=False),
        sa.Column("sync_key", sa.String(length=64), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erased")),
    )
    op.create_index("ix_erased_due_at", "erased", ["due_at"])
    op.create_index("ix_quarantine_next_try_at", "quarantine", ["next_try_at"])


def downgrade() -> None:
    op.drop_table("erased")
    op.drop_index("ix_quarantine_next_try_at", "quarantine")
    op.drop_column("quarantine", "next_try_at")
    op.drop_column("calendars", "look_at")
    for table, name, _ in TEXTS:
        op.drop_column(table, name)
