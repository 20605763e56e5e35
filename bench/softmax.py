"""The softmax of a language model by itself: time and memory of one step's loss and its gradients.

2,240 hidden states (32 streams of 70 tokens), a vocabulary of 30,000 words with Zipf's law for the
targets, forward and backward, at two widths. The sides:

- *plain*: ``F.linear`` and ``F.cross_entropy``;
- *tabtext*: ``linear_cross_entropy`` as it comes; *fp32 products* the same held to single
  precision, which is no other side where the CPU has no instructions for bfloat16;
- *torch's adaptive*: ``nn.AdaptiveLogSoftmaxWithLoss``, whose rare words have narrower vectors of
  their own (a quarter, a sixteenth);
- *tabtext's adaptive*: ``AdaptiveSoftmax`` with the same cutoffs, in which all words have the full
  width and are tied to the embedding; *own cutoffs* with those that it chooses.

Time: the sides take turns in one process, and what else the machine does meets all alike; medians
are quoted, and the median over turns of the ratio to the plain side in the same turn. CPU time is
that of all threads together, waiting for each other included where torch waits busily; with one
thread it is what a quiet machine would take. Memory: each side in a process of its own; what its
peak rises above its inputs and their gradients.

    OMP_NUM_THREADS=2 python bench/softmax.py
    python bench/softmax.py --trial                       # tiny sizes; writes no result
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import harness
import torch
from torch import Tensor, nn
from torch.nn import functional

from tabtext.text.softmax.adaptive import AdaptiveSoftmax
from tabtext.text.softmax.cross_entropy import linear_cross_entropy
from tabtext.text.softmax.cutoffs import choose_cutoffs, zipf_counts

CUTOFFS = (2_000, 10_000)
WIDTHS = (128, 400)
PLAIN = "plain"

Loss = Callable[[], Tensor]


class Step:
    """Inputs of one step, and the sides' losses of it."""

    def __init__(self, n: int, words: int, width: int, device: str) -> None:
        torch.manual_seed(0)
        shares = torch.as_tensor(zipf_counts(words))
        self.targets = shares.multinomial(n, replacement=True).to(device)
        self.hidden = torch.randn(n, width, device=device, requires_grad=True)
        self.weight = nn.Parameter(torch.empty(words, width, device=device).uniform_(-0.1, 0.1))
        self.bias = nn.Parameter(torch.zeros(words, device=device))
        self.cutoffs = tuple(cutoff for cutoff in CUTOFFS if cutoff < words)

        self.losses: dict[str, Loss] = {}
        self.modules: list[nn.Module] = []

    def add(self, side: str) -> None:
        """Make ready what a side needs."""
        hidden, weight, bias, targets = self.hidden, self.weight, self.bias, self.targets
        words, width = weight.shape
        losses: dict[str, Loss] = {
            PLAIN: lambda: functional.cross_entropy(
                functional.linear(hidden, weight, bias), targets
            ),
            "tabtext": lambda: linear_cross_entropy(hidden, weight, bias, targets),
            "tabtext, fp32 products": lambda: linear_cross_entropy(
                hidden, weight, bias, targets, products="fp32"
            ),
        }
        if side in losses:
            self.losses[side] = losses[side]
            return
        cutoffs = choose_cutoffs(zipf_counts(words)) if "own" in side else self.cutoffs
        if side == "torch's adaptive":
            peer = nn.AdaptiveLogSoftmaxWithLoss(width, words, list(cutoffs), head_bias=True)
            self.losses[side] = lambda: peer(hidden, targets).loss
            self.modules.append(peer.to(weight.device))
        else:
            ours = AdaptiveSoftmax(words, width, cutoffs).to(weight.device)
            self.losses[side] = lambda: ours.loss(hidden, targets, weight)
            self.modules.append(ours)

    def seconds(self, side: str) -> tuple[float, float]:
        """Time one forward and one backward pass: by the clock, and of the CPU."""
        for module in self.modules:
            module.zero_grad()
        self.hidden.grad = self.weight.grad = self.bias.grad = None
        self._wait()
        started, started_cpu = time.perf_counter(), time.process_time()
        self.losses[side]().backward()
        self._wait()
        return time.perf_counter() - started, time.process_time() - started_cpu

    def _wait(self) -> None:
        if self.weight.device.type == "cuda":
            torch.cuda.synchronize()


SIDES = (
    PLAIN,
    "tabtext",
    "tabtext, fp32 products",
    "torch's adaptive",
    "tabtext's adaptive",
    "tabtext's adaptive, own cutoffs",
)


def take_turns(step: Step, turns: int) -> dict[str, dict[str, float]]:
    """Median milliseconds of every side, and how often it fits into the plain side's time."""
    for side in SIDES:
        step.add(side)
        step.seconds(side)  # memory and caches
    times: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
    for _ in range(turns):
        for side in SIDES:
            times[side].append(step.seconds(side))
    figures: dict[str, dict[str, float]] = {}
    for side in SIDES:
        figures[side] = {}
        for place, what in enumerate(("ms", "CPU ms")):
            own = [each[place] for each in times[side]]
            plain = [each[place] for each in times[PLAIN]]
            ratio = statistics.median(p / o for p, o in zip(plain, own, strict=True))
            figures[side] |= {
                what: round(1e3 * statistics.median(own), 1),
                f"plain / side, {what}": round(ratio, 2),
            }
    return figures


def peak(side: str, settings: dict[str, Any], width: int) -> None:
    """Report what a side's peak adds to its inputs and gradients; in a process of its own."""
    tiny = Step(64, 2_100, 8, settings["device"])
    tiny.add(side)
    tiny.seconds(side)  # what libraries take for themselves
    step = Step(settings["rows"], settings["words"], width, settings["device"])
    step.add(side)
    given = [parameter for module in step.modules for parameter in module.parameters()]
    for tensor in [step.hidden, step.weight, step.bias, *given]:
        tensor.grad = torch.ones_like(tensor)
    inputs = harness.peak_megabytes()
    torch_peak = 0.0
    if settings["device"] == "cuda":
        torch.cuda.reset_peak_memory_stats()
        inputs_there = torch.cuda.memory_allocated()
    step.seconds(side)
    if settings["device"] == "cuda":
        torch_peak = (torch.cuda.max_memory_allocated() - inputs_there) / 1e6
    added = torch_peak if settings["device"] == "cuda" else harness.peak_megabytes() - inputs
    harness.report({"added_mb": round(added, 1)})


def measure(settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    sides: dict[str, dict[str, Any]] = {side: {} for side in SIDES}
    for width in WIDTHS:
        step = Step(settings["rows"], settings["words"], width, settings["device"])
        for side, figures in take_turns(step, settings["turns"]).items():
            given = [side, json.dumps(settings), str(width)]
            memory = harness.run_side([sys.executable, __file__, "--peak", *given])
            assert memory is not None
            figures["MB added"] = memory["added_mb"]
            sides[side] |= {f"{what} at {width}": value for what, value in figures.items()}
            print(side, width, figures, flush=True)
    return sides


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trial", action="store_true", help="tiny sizes; writes no result")
    parser.add_argument("--turns", type=int, default=11)
    parser.add_argument("--rows", type=int, default=2_240)
    parser.add_argument("--words", type=int, default=30_000)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--peak", nargs=3, metavar=("SIDE", "SETTINGS", "WIDTH"))
    arguments = parser.parse_args()
    if arguments.peak:
        side, settings, width = arguments.peak
        peak(side, json.loads(settings), int(width))
        return
    names = ("turns", "rows", "words", "device")
    settings = {name: getattr(arguments, name) for name in names}
    if arguments.trial:
        settings |= {"turns": 2, "rows": 100, "words": 3_000}
    settings["threads"] = torch.get_num_threads()
    sides = measure(settings)
    if not arguments.trial:
        suffix = "_cuda" if arguments.device == "cuda" else ""
        harness.write_result(f"softmax{suffix}", settings | {"cutoffs": CUTOFFS}, sides)
    rows = [{"side": side, **record} for side, record in sides.items()]
    columns = [f"{what} at {w}" for w in WIDTHS for what in ("ms", "plain / side, ms", "MB added")]
    print(harness.table(rows, {"side": str, **dict.fromkeys(columns, "{:,.2f}".format)}))


if __name__ == "__main__":
    main()
