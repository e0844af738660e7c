"""Cost of the QRNN alone and of a PASE+ training step, compared with a loop over frames.

python -m tests.benchmarks.bench_qrnn [--steps N] [--threads N] [--batch N] [--seconds S] [--width W]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from workflow_scripts.encoders import pase_plus
from workflow_scripts.networks.qrnn import Qrnn
from workflow_scripts.pretraining.device import best_device

TOLERANCE = 1e-4  # of the outputs, which must be equal before times are compared


class LoopedQrnn(nn.Module):
    """The same network as a loop over frames, with the same keys."""

    def __init__(self, network: Qrnn) -> None:
        """Share the weights of `network`."""
        super().__init__()
        self.layers = network.layers

    def forward(self, frames: Tensor) -> tuple[Tensor, None]:
        """Map (batch, inputs, frames) to (batch, hidden, frames)."""
        sequence = frames.permute(2, 0, 1)
        for layer in self.layers:
            earlier = torch.cat([torch.zeros_like(sequence[:1]), sequence[:-1]])
            candidate, forget, output = layer.linear(torch.cat([sequence, earlier], dim=-1)).chunk(3, dim=-1)
            forget, candidate, cell, cells = forget.sigmoid(), candidate.tanh(), None, []
            for gate, new in zip(forget, candidate, strict=True):
                cell = gate * new if cell is None else gate * new + (1 - gate) * cell
                cells.append(cell)
            sequence = output.sigmoid() * torch.stack(cells)
        return sequence.permute(1, 2, 0), None


def main() -> None:
    """Print the milliseconds of both and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--width", type=float, default=1.0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = best_device()
    encoder = pase_plus.build(pase_plus.Options(width=arguments.width)).to(device)
    audio = 0.1 * torch.randn(arguments.batch, round(16000 * arguments.seconds), device=device)
    parallel, looped = encoder.rnn, LoopedQrnn(encoder.rnn)
    frames = torch.randn(
        arguments.batch, parallel.layers[0].linear.in_features // 2, audio.shape[-1] // 160, device=device
    )
    torch.testing.assert_close(parallel(frames)[0], looped(frames)[0], rtol=TOLERANCE, atol=TOLERANCE)
    print(
        f"{device.type}, {arguments.threads} threads, width {arguments.width}, "
        f"{arguments.batch} x {arguments.seconds} s"
    )

    def build_layer(network: nn.Module) -> Callable[[], None]:
        inputs = frames.clone().requires_grad_()
        return lambda: network(inputs)[0].sum().backward()

    def build_step(network: nn.Module) -> Callable[[], None]:
        optimizer = torch.optim.Adam(encoder.parameters())

        def train() -> None:
            encoder.rnn = network
            optimizer.zero_grad()
            encoder(audio).square().mean().backward()
            optimizer.step()

        return train

    for title, build in (("QRNN alone, forwards and backwards", build_layer), ("PASE+ training step", build_step)):
        parallel_seconds, loop_seconds = median_seconds(
            build(parallel), build(looped), steps=arguments.steps, device=device
        )
        print(
            f"{title}: parallel {1000 * parallel_seconds:.1f} ms, loop {1000 * loop_seconds:.1f} ms, "
            f"loop / parallel {loop_seconds / parallel_seconds:.2f}",
            flush=True,
        )


def median_seconds(
    first: Callable[[], None], second: Callable[[], None], *, steps: int, device: torch.device
) -> tuple[float, float]:
    """Measure the median seconds of both functions, run in turn, so that other load affects both."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(steps + 1):
        for run, durations in zip((first, second), seconds, strict=True):
            started = time.perf_counter()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if number:  # the first round includes allocations
                durations.append(time.perf_counter() - started)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


if __name__ == "__main__":
    main()
