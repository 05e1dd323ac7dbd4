"""Ledger room: what Watcher knows and owes, in SQL (SQLite in WAL mode, or PostgreSQL)."""
