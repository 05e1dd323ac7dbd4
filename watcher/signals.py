"""The end of a long-running command: SIGTERM and SIGINT set an event that its loop waits for."""

from __future__ import annotations

import _thread
import signal
import threading


def stop_event() -> threading.Event:
    """An event that is set at the first SIGTERM or SIGINT from here on (main thread only).

    ``Event.set`` takes a lock that ``Event.wait`` holds at moments, and a handler runs within the
    main thread's own code: called there it could wait for itself for ever.
    """
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: _thread.start_new_thread(stop.set, ()))
    return stop
