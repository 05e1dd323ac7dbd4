"""Logs and what they may not hold."""
