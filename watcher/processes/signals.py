"""The end of a long-running command: SIGTERM and SIGINT set an event that its loop waits for."""

from __future__ import annotations

import contextlib
import os
import signal
import threading


def stop_event() -> threading.Event:
    """An event that is set at the first SIGTERM or SIGINT from here on (main thread only).

    ``Event.set`` takes a lock that ``Event.wait`` holds at moments, and a handler runs within the
    main thread's own code: called there it could wait for itself for ever. So a thread calls it,
    which is woken by a pipe.
    """
    stop = threading.Event()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def wait_for_signal() -> None:
        os.read(reader, 1)
        stop.set()

    def wake(*_: object) -> None:
        with contextlib.suppress(BlockingIOError):  # it is full of signals
            os.write(writer, b".")

    threading.Thread(target=wait_for_signal, daemon=True).start()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, wake)
    return stop
