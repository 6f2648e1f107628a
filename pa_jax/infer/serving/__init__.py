"""Requests that come and go, decoded side by side: scheduler, slots, text piece by piece."""
