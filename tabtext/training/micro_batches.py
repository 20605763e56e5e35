"""Gradient accumulation: a batch goes through the model in parts, and the step is the whole's.

The parts' gradients add up to that of the whole batch exactly, weights of rows included. Only batch
norm notices: it sees the statistics of each part.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from tabtext.errors import TabTextWarning
from tabtext.training.batches import Batch

__all__ = ["MicroBatches"]


class MicroBatches:
    """Cut batches into parts, smaller ones when memory runs out.

    Parameters
    ----------
    rows : int or None
        Rows of a part; None: the whole batch.
    recovers : bool
        Whether to halve the parts when a GPU runs out of memory. Not for several processes: one
        that starts its batch anew would leave the others waiting.

    Examples
    --------
    >>> rows = torch.ones(8)
    >>> seen = []
    >>> def backward(part, is_last):
    ...     seen.append((len(part), is_last))
    ...     return part.mean(part.target)
    >>> MicroBatches(3).run(Batch((rows,), rows), backward, restart=lambda: None)
    tensor(1.)
    >>> seen
    [(3, False), (3, False), (2, True)]
    """

    def __init__(self, rows: int | None, *, recovers: bool = True) -> None:
        self.rows = rows
        self.recovers = recovers
        self._told = False

    def run(
        self,
        batch: Batch,
        backward: Callable[[Batch, bool], Tensor],
        restart: Callable[[], None],
    ) -> Tensor:
        """Send a batch forward and backward; return its loss.

        Parameters
        ----------
        batch : Batch
            The rows of one step.
        backward : callable
            ``(part, is_last) -> loss``; adds the part's gradient to the parameters'.
        restart : callable
            Throws away gradients of a batch that is begun anew.

        Returns
        -------
        Tensor
            The batch's loss, detached.

        Raises
        ------
        torch.OutOfMemoryError
            If not even a single row fits.
        """
        too_many = 0
        while True:
            try:
                loss = self._accumulate(batch, backward)
            except torch.OutOfMemoryError:
                rows = min(self.rows or len(batch), len(batch))
                if not self.recovers or rows == 1:
                    raise
            else:
                if too_many:
                    self._tell_once(too_many)
                return loss
            # Outside of the handler: its exception would keep the failed pass's tensors alive.
            too_many = too_many or rows
            self.rows = -(-rows // 2)
            restart()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _accumulate(self, batch: Batch, backward: Callable[[Batch, bool], Tensor]) -> Tensor:
        if self.rows is None or self.rows >= len(batch):
            return backward(batch, True)
        parts = batch.split(self.rows)
        losses = [backward(part, part is parts[-1]) for part in parts]
        return torch.stack(losses).sum()

    def _tell_once(self, too_many: int) -> None:
        """Warn, now that it is known how many rows fit."""
        if self._told:
            return
        self._told = True
        warnings.warn(
            f"the GPU's memory does not hold {too_many} rows at once; from now on batches go "
            f"through in parts of {self.rows} or fewer, with the same effective batch size. "
            f"micro_batch_size={self.rows} does so from the start",
            TabTextWarning,
            stacklevel=3,
        )
