"""A stand-in for Google Calendar, its OAuth and its push, over real HTTP.

    state = GoogleState()
    state.add_user("ann@example.com")
    server = serve(state)          # threads of this process; server.url, server.close()

It shares no code with Watcher, so that a bug cannot cancel itself out. It refuses what Google
refuses, and fails in the ways that a test asks for.
"""

from watcher_sandbox.google.app import Server, create_app, run, serve
from watcher_sandbox.google.behaviour import Behaviour
from watcher_sandbox.google.shortcuts import instance_id, write_key_file
from watcher_sandbox.google.state import GoogleState

__all__ = [
    "Behaviour",
    "GoogleState",
    "Server",
    "create_app",
    "instance_id",
    "run",
    "serve",
    "write_key_file",
]
