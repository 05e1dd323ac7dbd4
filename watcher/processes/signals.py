"""The end of a long-running command: SIGTERM and SIGINT set an event that its loop waits for."""

from __future__ import annotations

import contextlib
import os
import signal
import threading


def stop_pipe() -> tuple[int, int]:
    """Reader and writer of a pipe that can be read from the first SIGTERM or SIGINT on (main thread
    only). A handler runs within the main thread's own code, at any moment: all that it may do is to
    write into a pipe."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def wake(*_: object) -> None:
        with contextlib.suppress(BlockingIOError):  # it is full of signals
            os.write(writer, b".")

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, wake)
    return reader, writer


def stop_event() -> threading.Event:
    """An event that is set at the first SIGTERM or SIGINT from here on (main thread only).

    ``Event.set`` takes a lock that ``Event.wait`` holds at moments: called in the handler it could
    wait for itself for ever. So a thread calls it.
    """
    stop = threading.Event()
    reader, _ = stop_pipe()

    def wait_for_signal() -> None:
        os.read(reader, 1)
        stop.set()

    threading.Thread(target=wait_for_signal, daemon=True).start()
    return stop
