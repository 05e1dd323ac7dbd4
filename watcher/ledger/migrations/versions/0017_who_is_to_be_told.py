"""an index of the employees of a delegation who were not told of it yet"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

NAME = "ix_accounts_to_inform"
ROWS = "source = 'service-account' AND informed_at IS NULL"


def upgrade() -> None:
    where = sa.text(ROWS)
    op.create_index(NAME, "accounts", ["id"], postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    op.drop_index(NAME, table_name="accounts")
