"""A person's own calendar export (.ics) as events of the sandbox Google.

``file`` takes the bytes apart, ``zones`` knows what zones are called, ``event`` makes a Google
event of a VEVENT, ``load`` inserts them and reports what was left out, and why.
"""

from watcher_sandbox.ics.file import read
from watcher_sandbox.ics.load import load, zone_of
from watcher_sandbox.ics.report import Report

__all__ = ["Report", "load", "read", "zone_of"]
