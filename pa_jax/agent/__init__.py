"""The agent that a user meets: `Agent(...).session(user_id)`, then `Session.respond(text)`.

`inferencer` alone, without replies, reads turns that were recorded.
"""

from pa_jax.agent.inference import inferencer
from pa_jax.agent.session import Agent, AgentConfig, Reply, Session

__all__ = ["Agent", "AgentConfig", "Reply", "Session", "inferencer"]
