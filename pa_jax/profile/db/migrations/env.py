"""Runs migrations on the connection it is handed, inside that connection's transaction."""

from alembic import context

from pa_jax.profile.db import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    version_table=tables.VERSION_TABLE,
    transactional_ddl=False,  # the caller begins and commits: all migrations or none
)
context.run_migrations()
