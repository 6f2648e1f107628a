"""Facts are compared as they are read: their topics are kept no more."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("profile_facts", "topic")


def downgrade() -> None:
    op.add_column("profile_facts", sa.Column("topic", sa.Text, nullable=False, server_default=""))
