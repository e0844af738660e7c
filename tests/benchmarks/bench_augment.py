"""Cost of the augmentation chain of CLMR: against SampleCNN's training step, and against a call a clip.

python -m tests.benchmarks.bench_augment [--clips N] [--rounds N] [--threads N] [--without-step]

The calls a clip are librosa's and torchaudio's, for the same clips with the same parameters, on the CPU. Everything is
timed in turns, and the shortest of the rounds counts: whatever else runs on the machine only ever makes things slower.
On a CPU the time is what this process computed, all its threads together, so that waiting for others does not count.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from types import ModuleType

import librosa
import torch
import torchaudio
from torch import Tensor, nn

from tests.effects.signals import RATE, SAMPLES, white
from workflow_scripts.augmentations import clmr, delay, frequency_filter, gain, noise, pitch, reverb
from workflow_scripts.effects.chain import Chain, Effect, Step, scale, scale_to_integers
from workflow_scripts.effects.delay import RandomEcho
from workflow_scripts.effects.filters import RandomFilter
from workflow_scripts.effects.level import RandomGain, RandomNoise
from workflow_scripts.effects.pitch import RandomPitchShift
from workflow_scripts.effects.reverb import RandomReverb
from workflow_scripts.encoders import samplecnn
from workflow_scripts.levels import registry
from workflow_scripts.pretraining.device import best_device
from workflow_scripts.workers._contrastive import nt_xent

EFFECTS: list[ModuleType] = [noise, gain, frequency_filter, delay, pitch, reverb]
ROOM_SECONDS = 1.0  # of the impulse response that librosa's and torchaudio's user would convolve with


class ACallAClip(Effect):
    """A function of libraries that is called for one clip after the other."""

    def __init__(self, numbers: int, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Call `function` (samples), (numbers)."""
        self.numbers, self.function = numbers, function

    def __call__(self, audio: Tensor, numbers: Tensor) -> Tensor:
        """Call it for each clip."""
        return torch.stack([self.function(clip, drawn) for clip, drawn in zip(audio, numbers, strict=True)])


def noisy(clip: Tensor, numbers: Tensor) -> Tensor:
    """White noise at 40 to 80 dB."""
    return torchaudio.functional.add_noise(clip, torch.randn_like(clip), scale(numbers[0], low=40.0, high=80.0).float())


def quieter(clip: Tensor, numbers: Tensor) -> Tensor:
    """A gain of -6 to 0 dB."""
    return torchaudio.functional.gain(clip, float(scale(numbers[0], low=-6.0, high=0.0)))


def filtered_alike(clip: Tensor, numbers: Tensor) -> Tensor:
    """The chain's own filter: a windowed sinc."""
    high_pass = bool(numbers[0] < 0.5)
    low, high = (200.0, 1200.0) if high_pass else (2200.0, 4000.0)
    cutoff = float(scale(numbers[1], low=low, high=high)) / RATE
    half = int(4 / cutoff)
    time_ = torch.arange(-half, half + 1)
    kernel = torch.sinc(2 * cutoff * time_) * torch.hann_window(2 * half + 1, periodic=False)
    kernel /= kernel.sum()
    return torchaudio.functional.fftconvolve(clip, (time_ == 0).float() - kernel if high_pass else kernel, mode="same")


def filtered_cheaply(clip: Tensor, numbers: Tensor) -> Tensor:
    """The cheapest filters of torchaudio, which are much less steep."""
    if numbers[0] < 0.5:
        return torchaudio.functional.highpass_biquad(clip, RATE, float(scale(numbers[1], low=200.0, high=1200.0)))
    return torchaudio.functional.lowpass_biquad(clip, RATE, float(scale(numbers[1], low=2200.0, high=4000.0)))


def delayed(clip: Tensor, numbers: Tensor) -> Tensor:
    """A shift and a sum."""
    samples = int(scale_to_integers(numbers[0], low=4, high=10)) * RATE // 20
    return clip + 0.5 * nn.functional.pad(clip[:-samples], (samples, 0))


def shifted(clip: Tensor, numbers: Tensor) -> Tensor:
    """The vocoder of librosa, which is far quicker than torchaudio's for ratios such as these."""
    cents = int(scale_to_integers(numbers[0], low=-700, high=700))
    return torch.from_numpy(librosa.effects.pitch_shift(clip.numpy(), sr=RATE, n_steps=cents / 100))


def reverberated(clip: Tensor, numbers: Tensor) -> Tensor:
    """Convolution with decaying noise."""
    time_ = torch.arange(int(ROOM_SECONDS * RATE)) / RATE
    response = 0.05 * torch.randn(len(time_)) * torch.exp(-time_ * float(scale(numbers[0], low=3.0, high=20.0)))
    response[0] = 1
    return torchaudio.functional.fftconvolve(clip, response)[: len(clip)]


def calls_a_clip(like: Chain, *, filtered: Callable[[Tensor, Tensor], Tensor] = filtered_alike) -> Chain:
    """A chain with the probabilities of `like`, made of calls a clip."""
    functions: dict[type[Effect], Callable[[Tensor, Tensor], Tensor]] = {
        RandomNoise: noisy,
        RandomGain: quieter,
        RandomFilter: filtered,
        RandomEcho: delayed,
        RandomPitchShift: shifted,
        RandomReverb: reverberated,
    }
    return Chain(
        [
            Step(effect=ACallAClip(step.effect.numbers, functions[type(step.effect)]), probability=step.probability)
            if type(step.effect) in functions
            else step
            for step in like.steps
        ]
    )


def seconds(work: dict[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Shortest time of each, in turns, after one round that is not counted."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    shortest = dict.fromkeys(work, float("inf"))
    for number in range(rounds + 1):
        for name, function in work.items():
            started = clock()
            function()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number:
                shortest[name] = min(shortest[name], clock() - started)
    return shortest


def training_step(audio: Tensor) -> Callable[[], object]:
    """Forward, NT-Xent, backward and Adam, as contrastive training does it."""
    encoder = samplecnn.build(samplecnn.Options()).to(audio.device)
    optimiser = torch.optim.Adam(encoder.parameters(), lr=0.0003)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        nt_xent(*encoder(audio).mean(dim=-1).chunk(2), temperature=0.5).backward()
        optimiser.step()

    return step


def main() -> None:
    """Print times and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--without-step", action="store_true", help="leave out SampleCNN's step, which takes long")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device, audio = best_device(), white(given.clips)
    print(f"{given.clips} clips of {SAMPLES} samples, {given.threads} threads, {device}", flush=True)
    for variant in clmr.VARIANTS:
        print_chain(variant, audio, device=device, rounds=given.rounds)
    print_effects(audio, device=device, rounds=given.rounds)
    if not given.without_step:
        chain, here = clmr.build(clmr.Options(), sample_rate=RATE), audio.to(device)
        times = seconds({"chain": lambda: run(chain, here), "step": training_step(here)}, rounds=1)
        share = times["chain"] / times["step"]
        print(f"SampleCNN step {times['step']:.3f} s, chain {times['chain']:.3f} s: ratio {share:.3f}", flush=True)


def run(chain: Chain, audio: Tensor) -> Tensor:
    """One batch, always with the same parameters."""
    return chain(audio, generator=torch.Generator().manual_seed(0))


def print_chain(variant: str, audio: Tensor, *, device: torch.device, rounds: int) -> None:
    """The chain in batches on the device, and as calls a clip on the CPU."""
    chain = clmr.build(registry.options(clmr, {"variant": variant}), sample_rate=RATE)
    here = audio.to(device)
    single, cheap = calls_a_clip(chain), calls_a_clip(chain, filtered=filtered_cheaply)
    work = {"batch": lambda: run(chain, here), "calls": lambda: run(single, audio), "cheap": lambda: run(cheap, audio)}
    batch, calls, least = (1000 * time_ / len(audio) for time_ in seconds(work, rounds=rounds).values())
    print(
        f"{variant}: {batch:.2f} ms a clip, as calls a clip {calls:.2f} ms, ratio {calls / batch:.1f}; "
        f"with the cheapest filters {least:.2f} ms, ratio {least / batch:.1f}",
        flush=True,
    )


def print_effects(audio: Tensor, *, device: torch.device, rounds: int) -> None:
    """Each effect by itself, for all clips."""
    here = audio.to(device)
    for module in EFFECTS:
        chain = module.build(module.Options(), sample_rate=RATE)
        single = calls_a_clip(chain)
        work = {"batch": lambda chain=chain: run(chain, here), "calls": lambda single=single: run(single, audio)}
        times = seconds(work, rounds=rounds)
        batch, calls = (1000 * times[name] / len(audio) for name in ("batch", "calls"))
        name = module.__name__.rpartition(".")[2]
        print(f"{name} alone: {batch:.2f} ms a clip, as calls {calls:.2f} ms, ratio {calls / batch:.1f}", flush=True)


if __name__ == "__main__":
    main()
