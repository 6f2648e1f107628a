"""Seeded synthetic users: whole dialogues, and requests for the decision to ask."""
