"""The demo's page: Google's day and ERPNext's side by side, with buttons that change Google's."""

from watcher_sandbox.stage.app import serve

__all__ = ["serve"]
