"""Append, load and follow an append-only log of events."""
