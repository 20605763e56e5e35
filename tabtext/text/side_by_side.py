"""Tasks on several cores at once, each with a core for itself.

torch spreads every single operation over all cores and waits at its end for the slowest. Where
thousands of operations take a fraction of a millisecond each, it is better to give each core a part
of the whole and to wait once: with the cores to itself that is a little faster, and beside other
busy processes many times, since each wait lasts until the slowest core's turn comes.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import torch

__all__ = ["side_by_side"]


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
    futures = [_pool.of(len(tasks)).submit(task) for task in tasks]
    wait(futures)
    for future in futures:
        future.result()


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
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.reset)
