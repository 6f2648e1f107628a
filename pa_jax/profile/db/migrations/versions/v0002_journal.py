"""Turns of sessions, by the stages that they reached."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    owner = sa.ForeignKey("profile_users.user_id", ondelete="CASCADE")
    op.create_table(
        "profile_journal",
        sa.Column("user_id", sa.Text, owner, primary_key=True),
        sa.Column("session", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("turn", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("declined", sa.Text),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("snippet", sa.Text),
        sa.Column("ops", sa.Text),
        sa.Column("dropped", sa.Text),
        sa.Column("needs", sa.Text),
        sa.Column("asked", sa.Text),
        sa.Column("question", sa.Text),
        sa.Column("why", sa.Text),
        sa.Column("answer", sa.Text),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("inferred_at", sa.BigInteger),
        sa.Column("applied_at", sa.BigInteger),
        sa.Column("decided_at", sa.BigInteger),
        sa.Column("replied_at", sa.BigInteger),
    )
    op.create_index(
        "profile_journal_unfinished",
        "profile_journal",
        ["user_id", "session", "turn"],
        sqlite_where=sa.text("replied_at IS NULL"),
        postgresql_where=sa.text("replied_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("profile_journal")
