"""Users, applied turns, facts by version, proposed labels."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _owner() -> sa.Column:
    owner = sa.ForeignKey("profile_users.user_id", ondelete="CASCADE")
    return sa.Column("user_id", sa.Text, owner, primary_key=True)


def upgrade() -> None:
    op.create_table(
        "profile_users",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "profile_turns",
        _owner(),
        sa.Column("session", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("turn", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("applied_at", sa.BigInteger, nullable=False),
        sa.Column("receipts", sa.Text, nullable=False),
    )
    _facts()
    op.create_table(
        "profile_labels",
        _owner(),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("sightings", sa.Integer, nullable=False),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
        sa.Column("last_seen", sa.BigInteger, nullable=False),
        sa.Column("promoted_at", sa.BigInteger),
    )


def _facts() -> None:
    op.create_table(
        "profile_facts",
        _owner(),
        sa.Column("fact_id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("subcategory", sa.Text, nullable=False),
        sa.Column("statement", sa.Text, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("polarity", sa.Text, nullable=False),
        sa.Column("authority", sa.Text, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("valid_from", sa.BigInteger, nullable=False),
        sa.Column("valid_to", sa.BigInteger),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("session", sa.Integer, nullable=False),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("quote", sa.Text, nullable=False),
        sa.Column("superseded_by", sa.Text),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("by_session", sa.Integer, nullable=False),
        sa.Column("by_turn", sa.Integer, nullable=False),
        sa.Column("known_from", sa.BigInteger, nullable=False),
        sa.Column("known_to", sa.BigInteger),
    )
    op.create_index(
        "profile_facts_current",
        "profile_facts",
        ["user_id", "valid_to"],
        sqlite_where=sa.text("known_to IS NULL"),
        postgresql_where=sa.text("known_to IS NULL"),
    )


def downgrade() -> None:
    for table in ("profile_labels", "profile_facts", "profile_turns", "profile_users"):
        op.drop_table(table)
