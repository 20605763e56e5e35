"""The signals that ask a process to end: remembered, and answered when a step is over."""

import signal
import threading
from time import monotonic
from types import FrameType
from typing import Any

__all__ = ["StopSignals"]


class StopSignals:
    """Remembers the first signal that asks the process to end."""

    def __init__(self) -> None:
        self.number = 0
        self._noted_at = 0.0
        self._one_request = 0.0
        self._before: dict[int, Any] = {}

    def listen(self, *, one_request: float = 0.0) -> None:
        """Take over SIGINT and SIGTERM; only a main thread can.

        Signals within ``one_request`` seconds of the first are the same request.
        """
        self.number, self._one_request = 0, one_request
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:  # someone wants it ignored
                    self._before[number] = signal.signal(number, self._note)

    def ignore(self) -> int:
        """Give both signals back to who had them; return the one that came, or 0."""
        for number, handler in self._before.items():
            # None: the handler was not Python's, and cannot be had back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()
        number, self.number = self.number, 0
        return number

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if not self.number:
            self.number, self._noted_at = number, monotonic()
        elif monotonic() - self._noted_at >= self._one_request:
            raise KeyboardInterrupt
