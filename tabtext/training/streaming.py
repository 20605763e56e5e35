"""Data larger than the device's memory: batches stream from pinned host memory.

While the device computes on one batch, the next is gathered by a thread and copied on a stream of
its own, so that the copy hides behind the computation.
"""

import queue
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor

from tabtext.training.batches import Batch, Batches

__all__ = ["StreamedBatches", "fits_on"]

_BATCHES_AHEAD = 2
_SHARE_OF_MEMORY = 0.5  # the rest is for the model, its gradients and activations


class StreamedBatches:
    """Batches that live in host memory, handed out on a device.

    Parameters
    ----------
    batches : Batches
        Of tensors on the CPU.
    device : torch.device
        Where the batches are wanted; on the CPU they are passed on as they are.

    Examples
    --------
    >>> from tabtext.training import TensorBatches
    >>> rows = torch.arange(6)
    >>> streamed = StreamedBatches(TensorBatches((rows,), rows, batch_size=3), torch.device("cpu"))
    >>> [batch.target.tolist() for batch in streamed.walk(0, seed=0)]
    [[0, 1, 2], [3, 4, 5]]
    """

    def __init__(self, batches: Batches, device: torch.device) -> None:
        self.batches = batches
        self.device = device

    @property
    def n_rows(self) -> int:
        """How many rows a walk visits."""
        return self.batches.n_rows

    def __len__(self) -> int:
        return len(self.batches)

    def walk(self, epoch: int, *, seed: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch on the device, prepared ahead of time."""
        source = self.batches.walk(epoch, seed=seed, start=start)
        ready: queue.Queue[Batch | BaseException | None] = queue.Queue(_BATCHES_AHEAD)
        stopped = threading.Event()
        arguments = source, ready, stopped
        thread = threading.Thread(target=self._fill, args=arguments, name="tabtext-stream")
        thread.start()
        try:
            while (item := ready.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield self._arrived(item)
        finally:
            # The reader may leave in the middle; the thread must not wait for it for ever.
            stopped.set()
            while thread.is_alive():
                try:
                    ready.get(timeout=0.01)
                except queue.Empty:
                    continue
            thread.join()

    def shard(self, rank: int, size: int) -> Self:
        """Return one process' part."""
        return type(self)(self.batches.shard(rank, size), self.device)

    def fingerprint(self) -> str:
        """Return what tells these data from others."""
        return self.batches.fingerprint()

    def _fill(
        self,
        source: Iterator[Batch],
        ready: "queue.Queue[Batch | BaseException | None]",
        stopped: threading.Event,
    ) -> None:
        try:
            if self.device.type == "cuda":
                stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]  # torch's own
                with torch.cuda.stream(stream):
                    for batch in source:
                        if stopped.is_set():
                            return
                        ready.put(self._sent(batch))
            else:
                for batch in source:
                    if stopped.is_set():
                        return
                    ready.put(batch)
            ready.put(None)
        except BaseException as error:
            ready.put(error)

    def _sent(self, batch: Batch) -> Batch:
        """The batch on the device, once this stream's copy has ended."""
        sent = _moved(batch, self.device)
        torch.cuda.current_stream(self.device).synchronize()  # this thread waits, not training
        return sent

    def _arrived(self, batch: Batch) -> Batch:
        if self.device.type == "cuda":
            # The allocator must not hand the memory to the copying stream while it is still read.
            for tensor in _tensors(batch):
                tensor.record_stream(torch.cuda.current_stream(self.device))
        return batch


def fits_on(device: torch.device, *tensors: Tensor) -> bool:
    """Return whether tensors may live on the device for the whole training.

    Examples
    --------
    >>> fits_on(torch.device("cpu"), torch.zeros(3))
    True
    """
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    return needed < _SHARE_OF_MEMORY * free


def _moved(batch: Batch, device: torch.device) -> Batch:
    def move(tensor: Tensor) -> Tensor:
        return tensor.pin_memory().to(device, non_blocking=True)

    return replace(
        batch,
        inputs=tuple(move(tensor) for tensor in batch.inputs),
        target=move(batch.target),
        weight=None if batch.weight is None else move(batch.weight),
        total=move(batch.total) if isinstance(batch.total, Tensor) else batch.total,
    )


def _tensors(batch: Batch) -> list[Tensor]:
    found = [*batch.inputs, batch.target, batch.weight, batch.total]
    return [tensor for tensor in found if isinstance(tensor, Tensor)]
