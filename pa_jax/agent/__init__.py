"""The agent that a user meets: `Agent(...).session(user_id)`, then `Session.respond(text)`."""

from pa_jax.agent.session import Agent, AgentConfig, Reply, Session

__all__ = ["Agent", "AgentConfig", "Reply", "Session"]
