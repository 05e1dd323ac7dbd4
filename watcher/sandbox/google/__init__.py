"""A stand-in for Google Calendar, its OAuth and its push, over real HTTP.

    server = serve(port=0)              # threads of this process; server.url, server.state
    server.state.add_user("ann@example.com")

It shares no code with the bridge, refuses what Google refuses, and goes wrong on order.
"""

from watcher.sandbox.google.app import Server, create_app, run, serve
from watcher.sandbox.google.behaviour import Behaviour
from watcher.sandbox.google.state import GoogleState, write_key_file

__all__ = ["Behaviour", "GoogleState", "Server", "create_app", "run", "serve", "write_key_file"]
