"""Engines run operators over the log; they see only ports."""
