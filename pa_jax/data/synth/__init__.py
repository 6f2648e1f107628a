"""Seeded synthetic users: whole dialogues (users), and requests for the decision to ask (asking)."""
