"""the diary no longer counts calls, which nobody read"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("runs", "google_calls")
    op.drop_column("runs", "erpnext_calls")


def downgrade() -> None:
    for name in ("google_calls", "erpnext_calls"):
        op.add_column("runs", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
