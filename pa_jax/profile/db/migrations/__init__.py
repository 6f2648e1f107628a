"""Alembic migrations of the profile store; ProfileStore runs them when it opens."""
