"""Watcher: a change in Google Calendar is in ERPNext seconds later."""

__version__ = "0.2.0"
