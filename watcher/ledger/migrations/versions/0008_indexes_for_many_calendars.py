"""indexes, so that what cron asks for every few seconds is found and not searched for"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_calendars_owing", "calendars", ["id"], "dirty_seq > synced_seq"),
    ("ix_calendars_leased", "calendars", ["lease_until"], "lease_owner IS NOT NULL"),
    ("ix_calendars_next_reconcile_at", "calendars", ["next_reconcile_at"], None),
    ("ix_calendars_look_at", "calendars", ["look_at"], "look_at IS NOT NULL"),
    ("ix_accounts_access_expires_at", "accounts", ["access_expires_at"], None),
    ("ix_channels_opened_at", "channels", ["opened_at"], None),
    ("ix_channels_unheard", "channels", ["opened_at"], "heard_at IS NULL"),
    ("ix_channels_live", "channels", ["calendar_id"], "state = 'live'"),
    ("ix_channels_noted", "channels", ["calendar_id"], "error <> ''"),
    ("ix_runs_failed", "runs", ["id"], "kind = 'failed'"),
)
"""Name, table, columns, and the rows that the index is of."""


def upgrade() -> None:
    for name, table, columns, rows in INDEXES:
        where = sa.text(rows) if rows else None
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name, table, _, _ in reversed(INDEXES):
        op.drop_index(name, table_name=table)
