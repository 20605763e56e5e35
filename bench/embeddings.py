"""Looking up 22 categorical columns: one flat table beside a list of 22 ``nn.Embedding``.

Forward and backward over the columns of the Rossmann lesson, on one batch of codes, at three batch
sizes. The passes are so short that the sides take turns *pass by pass* in one process, and what
else the machine does meets all of them alike; the median pass of each is quoted. The sides:

- flat: ``tabtext.tabular.embeddings.EntityEmbeddings`` as it stands; on the CPU that is its numba
  kernels, on CUDA one gather;
- flat, torch: the same module held to the road that it takes off the CPU;
- list: a table per column, each looked up by itself, and the results joined.

    python bench/embeddings.py
    python bench/embeddings.py --device cuda
"""

import argparse
import statistics
import time

import harness
import torch
from torch import Tensor, nn

from tabtext.tabular.embeddings import EntityEmbeddings, embedding_width

CARDINALITIES = [
    1117, 9, 5, 14, 33, 6, 27, 28, 6, 5, 5, 25, 9, 14, 54, 24, 8, 8, 5, 5, 10, 10,
]  # fmt: skip
"""Codes per column of the lesson's 22 columns, those for missing and unseen included."""

BATCH_SIZES = (64, 1024, 4096)


class FlatByTorch(EntityEmbeddings):
    """The flat table without its kernels."""

    def forward(self, codes: Tensor) -> Tensor:
        """Return the vectors of a batch of codes."""
        return self._gather(codes)


class ListOfEmbeddings(nn.Module):
    """A table per column."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(n, embedding_width(n)) for n in CARDINALITIES)

    def forward(self, codes: Tensor) -> Tensor:
        """Return the vectors of a batch of codes."""
        vectors = [table(codes[:, column]) for column, table in enumerate(self.tables)]
        return torch.cat(vectors, dim=1)


def seconds_of_a_pass(module: nn.Module, codes: Tensor, gradient: Tensor) -> float:
    """Time one forward and one backward pass."""
    started = time.perf_counter()
    module(codes).backward(gradient)
    module.zero_grad(set_to_none=True)
    if codes.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def measure(modules: dict[str, nn.Module], codes: Tensor, turns: int) -> dict[str, float]:
    """Median microseconds of a pass, per side."""
    gradient = torch.ones_like(next(iter(modules.values()))(codes))
    times: dict[str, list[float]] = {side: [] for side in modules}
    for _ in range(turns):
        for side, module in modules.items():
            times[side].append(seconds_of_a_pass(module, codes, gradient))
    # The first turns compile kernels and fill caches.
    return {side: 1e6 * statistics.median(each[turns // 10 :]) for side, each in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=500)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    arguments = parser.parse_args()
    modules: dict[str, nn.Module] = {
        # No random replacement of codes, so that all sides do the same work.
        "flat": EntityEmbeddings(CARDINALITIES, unseen_rate=0.0),
        "flat, torch": FlatByTorch(CARDINALITIES),
        "list": ListOfEmbeddings(),
    }
    modules = {side: module.to(arguments.device) for side, module in modules.items()}
    sides: dict[str, harness.Record] = {side: {} for side in modules}
    for batch_size in BATCH_SIZES:
        columns = [torch.randint(n, (batch_size,)) for n in CARDINALITIES]
        codes = torch.stack(columns, dim=1).to(arguments.device)
        microseconds = measure(modules, codes, arguments.turns)
        for side, median in microseconds.items():
            sides[side][f"us at {batch_size}"] = round(median, 1)
            ratio = microseconds["list"] / median
            sides[side][f"list / side at {batch_size}"] = round(ratio, 2)
    settings = {
        "cardinalities": CARDINALITIES,
        "turns": arguments.turns,
        "device": arguments.device,
        "threads": torch.get_num_threads(),
    }
    if arguments.device == "cuda":
        settings["gpu"] = torch.cuda.get_device_name()
    name = "embeddings" if arguments.device == "cpu" else "embeddings_cuda"
    harness.write_result(name, settings, sides)
    figures = [f"{what} at {size}" for what in ("us", "list / side") for size in BATCH_SIZES]
    rows = [{"side": side, **record} for side, record in sides.items()]
    print(harness.table(rows, {"side": str, **dict.fromkeys(figures, "{:,.2f}".format)}))


if __name__ == "__main__":
    main()
