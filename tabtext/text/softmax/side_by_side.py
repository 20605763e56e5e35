"""Tasks on several cores at once, each with a core for itself.

torch spreads every single operation over all cores, and waits at its end for the slowest. Where
thousands of operations take a fraction of a millisecond each, it is better to give each core a part
of the whole and to wait once: with the cores to itself that is a little faster, and beside other
busy processes many times, since each wait lasts until the slowest core's turn comes. But for some
milliseconds after an operation that was spread, the threads that helped with it wait for the next
one *busily*, and take the cores from everyone else. So whoever shares out tasks spreads nothing in
between, and for that moves to a thread that has one core, too (``on_one_core``).
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

__all__ = ["on_one_core", "side_by_side"]

Result = TypeVar("Result")


def side_by_side(tasks: Sequence[Callable[[], None]]) -> None:
    """Run tasks at the same time, and return when all have ended; one task runs right here.

    In a task, torch uses one core. Tasks see nothing of what the caller has set for its own thread:
    gradients are recorded, autocast and inference mode are off.

    Parameters
    ----------
    tasks : sequence of callable
        As many as there are cores for.

    Raises
    ------
    BaseException
        What the first of the tasks that fail raises.

    Examples
    --------
    >>> seen = []
    >>> side_by_side([lambda: seen.append(1), lambda: seen.append(torch.get_num_threads())])
    >>> seen
    [1, 1]
    """
    if len(tasks) == 1:
        tasks[0]()
        return
    executor = _pool.of(len(tasks))
    futures = [executor.submit(task) for task in tasks]
    wait(futures)
    for future in futures:
        future.result()


def on_one_core(task: Callable[[], Result]) -> Result:
    """Run a task in another thread, in which torch uses one core; return what it returns.

    It is the same thread for all tasks of the caller's, and sees as little of what the caller has
    set as those of ``side_by_side``.

    Parameters
    ----------
    task : callable

    Examples
    --------
    >>> on_one_core(torch.get_num_threads)
    1
    """
    return _helper.executor().submit(task).result()


class _Pool:
    """Threads that wait for work, as many as were ever needed at once."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all threads: a forked process has none of its parent's."""
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._n_threads = 0

    def of(self, n_threads: int) -> ThreadPoolExecutor:
        """An executor with that many threads at least."""
        with self._lock:
            if self._executor is None or self._n_threads < n_threads:
                self._executor = _start(n_threads)
                self._n_threads = n_threads
            return self._executor


class _Helper(threading.local):
    """A thread for every thread that needs one; it ends with that."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the thread: a forked process does not have it."""
        self._executor: ThreadPoolExecutor | None = None

    def executor(self) -> ThreadPoolExecutor:
        """An executor whose only thread is this thread's helper."""
        if self._executor is None:
            self._executor = _start(1)
        return self._executor


def _start(n_threads: int) -> ThreadPoolExecutor:
    executor = ThreadPoolExecutor(n_threads, "tabtext", initializer=_use_one_core)
    # It starts a thread only when all that it has are busy: keep them busy until all are there.
    all_here = threading.Barrier(n_threads + 1)
    for _ in range(n_threads):
        executor.submit(all_here.wait)
    all_here.wait()
    # What a thread sets for itself, torch also notes as the default of threads to come.
    torch.set_num_threads(torch.get_num_threads())
    return executor


def _use_one_core() -> None:
    torch.get_num_threads()  # else its first use would overwrite what is set now
    torch.set_num_threads(1)


_pool = _Pool()
_helper = _Helper()


def _forget_threads() -> None:
    _pool.reset()
    _helper.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
