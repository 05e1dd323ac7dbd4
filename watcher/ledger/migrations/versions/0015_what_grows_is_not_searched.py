"""when somebody has to look next whether a calendar is watched; indexes of what is no everyday
matter, and statistics that tell PostgreSQL how little it is"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

RESTLESS = (
    "dirty_seq - synced_seq > 0 OR failures > 0 OR state NOT IN ('waiting', 'ok', 'retrying')"
)
INDEXES = (
    ("ix_accounts_state", "accounts", "state", "", ""),
    ("ix_calendars_watch_due_at", "calendars", "watch_due_at", "", ""),
    ("ix_calendars_restless", "calendars", "id", RESTLESS, RESTLESS),
    ("ix_calendars_removed", "calendars", "account_id", "removed IS true", "removed IS 1"),
    (
        "ix_calendars_pushless",
        "calendars",
        "account_id",
        "push_supported IS false",
        "push_supported IS 0",
    ),
    ("ix_channels_requested_at", "channels", "requested_at", "", ""),
    (
        "ix_channels_expires_at",
        "channels",
        "expires_at",
        "state IN ('live', 'retiring')",
        "state IN ('live', 'retiring')",
    ),
)
"""Name, table, column, and the rows that the index is of: on PostgreSQL, and on SQLite."""
LIVE = """
UPDATE calendars SET watch_due_at = (
    SELECT max(channels.renew_at) FROM channels
    WHERE channels.calendar_id = calendars.id AND channels.state = 'live'
)
"""
OWING = "dirty_seq > synced_seq"


def upgrade() -> None:
    op.add_column("calendars", sa.Column("watch_due_at", sa.DateTime(timezone=True)))
    op.execute(LIVE)
    for name, table, column, rows, on_sqlite in INDEXES:
        where, there = (sa.text(words) if words else None for words in (rows, on_sqlite))
        op.create_index(name, table, [column], postgresql_where=where, sqlite_where=there)
    op.drop_index("ix_calendars_owing", table_name="calendars")
    if _knows_statistics_of_expressions():
        op.execute("CREATE STATISTICS st_calendars_owed ON (dirty_seq - synced_seq) FROM calendars")


def downgrade() -> None:
    if _knows_statistics_of_expressions():
        op.execute("DROP STATISTICS IF EXISTS st_calendars_owed")
    where = sa.text(OWING)
    op.create_index(
        "ix_calendars_owing", "calendars", ["id"], postgresql_where=where, sqlite_where=where
    )
    for name, table, *_ in reversed(INDEXES):
        op.drop_index(name, table_name=table)
    op.drop_column("calendars", "watch_due_at")


def _knows_statistics_of_expressions() -> bool:
    """PostgreSQL does from version 14 on."""
    dialect = op.get_bind().dialect
    return dialect.name == "postgresql" and (dialect.server_version_info or (0,)) >= (14,)
