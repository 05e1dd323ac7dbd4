"""what employees choose for themselves, their language, and who has invited them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INFORMED = "UPDATE accounts SET informed_at = created_at"
"""Those who are there already are not told now, long after they were added."""


def upgrade() -> None:
    op.add_column("accounts", sa.Column("chosen_event_type", sa.String(length=10)))
    op.add_column("accounts", sa.Column("chosen_private_events", sa.String(length=10)))
    op.add_column("accounts", sa.Column("informed_at", sa.DateTime(timezone=True)))
    op.add_column("accounts", _words("language", 10))
    op.add_column("invitations", _words("invited_by", 320))
    op.execute(INFORMED)


def _words(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=False, server_default="")


def downgrade() -> None:
    op.drop_column("invitations", "invited_by")
    for name in ("language", "informed_at", "chosen_private_events", "chosen_event_type"):
        op.drop_column("accounts", name)
