"""The AWD-LSTM encoder, all dropouts on, beside a bare stack of ``torch.nn.LSTM``.

A step is a forward and a backward pass over 32 x 70 tokens, at two sizes; the sides take turns step
by step in one process, and a ratio is the median over turns. There is no softmax and no optimizer,
which would be the same for all. The sides:

- bare: an embedding and ``nn.LSTM`` layers, time first;
- encoder: ``AWDLSTM`` with its default dropouts, activation regularisation included;
- no penalties: the same without activation regularisation;
- no dropout: neither dropouts nor penalties.

Then the mask of one hidden-to-hidden matrix of 1,152 units beside torch's Bernoulli numbers, and
one document of 270 tokens, read alone. With one thread the seconds are those of the processor, so
that a busy machine does not count; with more they are those of the clock.

    python bench/encoder.py --threads 1
    python bench/encoder.py --sizes small large
"""

import argparse
import statistics
import time
from collections.abc import Callable

import harness
import torch
from torch import Tensor, nn

from tabtext.dropout import fill_dropout_mask
from tabtext.text.encoder.awd_lstm import AWDLSTM, EncoderOptions

SIZES = {"small": (128, 256, 2), "large": (400, 1152, 3)}
N_WORDS, ROWS, LENGTH, DOCUMENT = 10_000, 32, 70, 270
NO_PENALTIES = {"activation_regularisation": 0.0, "temporal_activation_regularisation": 0.0}

Clock = Callable[[], float]
Step = Callable[[], None]


class Bare(nn.Module):
    """An embedding and LSTM layers."""

    def __init__(self, embedding_width: int, hidden_width: int, n_layers: int) -> None:
        super().__init__()
        widths = [embedding_width, *[hidden_width] * (n_layers - 1), embedding_width]
        self.embedding = nn.Embedding(N_WORDS, embedding_width)
        self.layers = nn.ModuleList(nn.LSTM(*widths[i : i + 2]) for i in range(n_layers))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return vectors ``(length, rows, width)``."""
        sequence = self.embedding(tokens.t())
        for layer in self.layers:
            sequence, _ = layer(sequence)
        return sequence


def bare_step(model: Bare, tokens: Tensor, gradient: Tensor) -> Step:
    """A pass of torch's layers and back."""

    def step() -> None:
        model(tokens).backward(gradient)
        model.zero_grad()

    return step


def encoder_step(encoder: AWDLSTM, tokens: Tensor, gradient: Tensor) -> Step:
    """A pass of the encoder and back."""
    one = torch.ones((), device=tokens.device)

    def step() -> None:
        output = encoder(tokens, encoder.initial_state(len(tokens)))
        ends, directions = [output.outputs.transpose(0, 1)], [gradient]
        penalty = encoder.extra_loss()
        if isinstance(penalty, Tensor):
            ends, directions = [*ends, penalty], [*directions, one]
        torch.autograd.backward(ends, directions)
        encoder.zero_grad()

    return step


def encoder_of(size: str, **options: float) -> AWDLSTM:
    """An encoder of a size."""
    embedding_width, hidden_width, n_layers = SIZES[size]
    shape = {"embedding_width": embedding_width, "hidden_width": hidden_width}
    return AWDLSTM(N_WORDS, EncoderOptions(**shape, n_layers=n_layers, **options))


def take_turns(steps: dict[str, Step], turns: int, clock: Clock) -> dict[str, list[float]]:
    """Milliseconds of every step, turn by turn; the first turn does not count."""
    times: dict[str, list[float]] = {side: [] for side in steps}
    for turn in range(turns + 1):
        for side, step in steps.items():
            started = clock()
            step()
            if turn:
                times[side].append(1e3 * (clock() - started))
    return times


def beside_the_first(times: dict[str, list[float]]) -> dict[str, harness.Record]:
    """Medians, and medians of the ratios to the first side in each turn."""
    first = next(iter(times.values()))
    return {
        side: {
            "ms": round(statistics.median(each), 3),
            "ratio": round(statistics.median(a / b for a, b in zip(each, first, strict=True)), 3),
        }
        for side, each in times.items()
    }


def training(size: str, turns: int, device: str, clock: Clock) -> dict[str, harness.Record]:
    """The encoder's step beside the bare stack's."""
    tokens = torch.randint(N_WORDS, (ROWS, LENGTH)).to(device)
    gradient = torch.randn(LENGTH, ROWS, SIZES[size][0], device=device) / tokens.numel()
    encoders = {
        "encoder": encoder_of(size),
        "no penalties": encoder_of(size, **NO_PENALTIES),
        "no dropout": encoder_of(size, dropout_scale=0.0, **NO_PENALTIES),
    }
    steps = {"bare": bare_step(Bare(*SIZES[size]).to(device), tokens, gradient)} | {
        side: encoder_step(encoder.to(device), tokens, gradient)
        for side, encoder in encoders.items()
    }
    found = beside_the_first(take_turns(steps, turns, clock))
    return {f"{size}, {side}": record for side, record in found.items()}


def masks(turns: int, device: str, clock: Clock) -> dict[str, harness.Record]:
    """A mask for the recurrent weights of a layer of 1,152 units, 0.2 dropped."""
    mask = torch.empty(4 * 1152, 1152, device=device)

    def ours() -> None:
        fill_dropout_mask(mask, 0.2)

    def torchs() -> None:
        mask.bernoulli_(0.8).mul_(1.25)

    steps = {"mask, bernoulli_": torchs, "mask, tabtext": ours}
    return beside_the_first(take_turns(steps, turns, clock))


def document(turns: int, device: str, clock: Clock) -> dict[str, harness.Record]:
    """One document read alone by the small encoder."""
    encoder = encoder_of("small").to(device).eval()
    tokens = torch.randint(N_WORDS, (1, DOCUMENT)).to(device)

    @torch.inference_mode()
    def read() -> None:
        encoder(tokens, encoder.initial_state(1))

    return beside_the_first(take_turns({f"a document of {DOCUMENT} tokens": read}, turns, clock))


def clock_for(device: str, n_threads: int) -> Clock:
    """What to read the time from."""

    def after_the_device() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    if device == "cuda":
        return after_the_device
    return time.thread_time if n_threads == 1 else time.perf_counter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["small"], choices=list(SIZES))
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    turns, device = arguments.turns, arguments.device
    clock = clock_for(device, arguments.threads)
    sides = masks(turns, device, clock) | document(4 * turns, device, clock)
    for size in arguments.sizes:
        sides |= training(size, turns, device, clock)
    settings = {"turns": turns, "threads": arguments.threads, "device": device}
    if device == "cuda":
        settings["gpu"] = torch.cuda.get_device_name()
    harness.write_result("encoder" if device == "cpu" else "encoder_cuda", settings, sides)
    rows = [{"side": side, **record} for side, record in sides.items()]
    print(harness.table(rows, {"side": str, "ms": "{:,.2f}".format, "ratio": "{:.3f}".format}))


if __name__ == "__main__":
    main()
