"""Cost of the augmentation chain of CLMR, compared with a training step of SampleCNN and with calls clip by clip.

python -m tests.benchmarks.bench_augment [--clips N] [--rounds N] [--threads N] [--without-step]

Calls clip by clip use librosa and torchaudio, for the same clips with the same parameters, on the CPU. All variants are
timed in turn and the fastest round is reported, because other load only ever makes a round slower. On a CPU the time is
the CPU time of this process, over all its threads, so that waiting for other processes does not count.
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
# length of the impulse response that a user of librosa or torchaudio would convolve with
ROOM_SECONDS = 1.0


class ClipwiseEffect(Effect):
    """Effect of a library function that is called clip by clip."""

    def __init__(self, n_uniforms: int, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Call `function` with the samples (samples,) and the random numbers (n_uniforms,) of a clip."""
        self.n_uniforms, self.function = n_uniforms, function

    def __call__(self, audio: Tensor, uniforms: Tensor) -> Tensor:
        """Call the function for each clip."""
        return torch.stack([self.function(clip, row) for clip, row in zip(audio, uniforms, strict=True)])


def add_noise(clip: Tensor, numbers: Tensor) -> Tensor:
    """Add white noise at 40 to 80 dB."""
    return torchaudio.functional.add_noise(clip, torch.randn_like(clip), scale(numbers[0], low=40.0, high=80.0).float())


def attenuate(clip: Tensor, numbers: Tensor) -> Tensor:
    """Apply a gain of -6 to 0 dB."""
    return torchaudio.functional.gain(clip, float(scale(numbers[0], low=-6.0, high=0.0)))


def filter_by_sinc(clip: Tensor, numbers: Tensor) -> Tensor:
    """Apply the same filter as the chain: a windowed sinc."""
    high_pass = bool(numbers[0] < 0.5)
    low, high = (200.0, 1200.0) if high_pass else (2200.0, 4000.0)
    cutoff = float(scale(numbers[1], low=low, high=high)) / RATE
    half = int(4 / cutoff)
    time_ = torch.arange(-half, half + 1)
    kernel = torch.sinc(2 * cutoff * time_) * torch.hann_window(2 * half + 1, periodic=False)
    kernel /= kernel.sum()
    return torchaudio.functional.fftconvolve(clip, (time_ == 0).float() - kernel if high_pass else kernel, mode="same")


def filter_by_biquad(clip: Tensor, numbers: Tensor) -> Tensor:
    """Apply the cheapest filters of torchaudio, which are much less steep."""
    if numbers[0] < 0.5:
        return torchaudio.functional.highpass_biquad(clip, RATE, float(scale(numbers[1], low=200.0, high=1200.0)))
    return torchaudio.functional.lowpass_biquad(clip, RATE, float(scale(numbers[1], low=2200.0, high=4000.0)))


def add_echo(clip: Tensor, numbers: Tensor) -> Tensor:
    """Add the delayed clip."""
    samples = int(scale_to_integers(numbers[0], low=4, high=10)) * RATE // 20
    return clip + 0.5 * nn.functional.pad(clip[:-samples], (samples, 0))


def shift_pitch(clip: Tensor, numbers: Tensor) -> Tensor:
    """Shift the pitch by the vocoder of librosa, which is far faster than that of torchaudio for such ratios."""
    cents = int(scale_to_integers(numbers[0], low=-700, high=700))
    return torch.from_numpy(librosa.effects.pitch_shift(clip.numpy(), sr=RATE, n_steps=cents / 100))


def reverberate(clip: Tensor, numbers: Tensor) -> Tensor:
    """Convolve with decaying noise."""
    time_ = torch.arange(int(ROOM_SECONDS * RATE)) / RATE
    response = 0.05 * torch.randn(len(time_)) * torch.exp(-time_ * float(scale(numbers[0], low=3.0, high=20.0)))
    response[0] = 1
    return torchaudio.functional.fftconvolve(clip, response)[: len(clip)]


def build_clipwise_chain(like: Chain, *, filter_clip: Callable[[Tensor, Tensor], Tensor] = filter_by_sinc) -> Chain:
    """Build a chain of clip-by-clip calls with the probabilities of `like`."""
    functions: dict[type[Effect], Callable[[Tensor, Tensor], Tensor]] = {
        RandomNoise: add_noise,
        RandomGain: attenuate,
        RandomFilter: filter_clip,
        RandomEcho: add_echo,
        RandomPitchShift: shift_pitch,
        RandomReverb: reverberate,
    }
    return Chain(
        [
            Step(
                effect=ClipwiseEffect(step.effect.n_uniforms, functions[type(step.effect)]),
                probability=step.probability,
            )
            if type(step.effect) in functions
            else step
            for step in like.steps
        ]
    )


def shortest_times(work: dict[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Time each function in turn, and return its shortest time in seconds; a first round is not counted."""
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


def build_training_step(audio: Tensor) -> Callable[[], object]:
    """Build a contrastive training step: forward, NT-Xent, backward and Adam."""
    encoder = samplecnn.build(samplecnn.Options()).to(audio.device)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=0.0003)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        nt_xent(*encoder(audio).mean(dim=-1).chunk(2), temperature=0.5).backward()
        optimizer.step()

    return step


def main() -> None:
    """Print the times and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--without-step", action="store_true", help="leave out the step of SampleCNN, which takes long")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device, audio = best_device(), white(arguments.clips)
    print(f"{arguments.clips} clips of {SAMPLES} samples, {arguments.threads} threads, {device}", flush=True)
    for variant in clmr.VARIANTS:
        print_chain(variant, audio, device=device, rounds=arguments.rounds)
    print_effects(audio, device=device, rounds=arguments.rounds)
    if not arguments.without_step:
        chain, here = clmr.build(clmr.Options(), sample_rate=RATE), audio.to(device)
        times = shortest_times({"chain": lambda: run(chain, here), "step": build_training_step(here)}, rounds=1)
        share = times["chain"] / times["step"]
        print(f"SampleCNN step {times['step']:.3f} s, chain {times['chain']:.3f} s: ratio {share:.3f}", flush=True)


def run(chain: Chain, audio: Tensor) -> Tensor:
    """Augment one batch, always with the same parameters."""
    return chain(audio, generator=torch.Generator().manual_seed(0))


def print_chain(variant: str, audio: Tensor, *, device: torch.device, rounds: int) -> None:
    """Print the time of the chain in batches on the device, and clip by clip on the CPU."""
    chain = clmr.build(registry.options(clmr, {"variant": variant}), sample_rate=RATE)
    here = audio.to(device)
    single, cheap = build_clipwise_chain(chain), build_clipwise_chain(chain, filter_clip=filter_by_biquad)
    work = {"batch": lambda: run(chain, here), "calls": lambda: run(single, audio), "cheap": lambda: run(cheap, audio)}
    batch, calls, least = (1000 * time_ / len(audio) for time_ in shortest_times(work, rounds=rounds).values())
    print(
        f"{variant}: {batch:.2f} ms per clip, clip by clip {calls:.2f} ms, ratio {calls / batch:.1f}; "
        f"with the cheapest filters {least:.2f} ms, ratio {least / batch:.1f}",
        flush=True,
    )


def print_effects(audio: Tensor, *, device: torch.device, rounds: int) -> None:
    """Print the time of each effect alone."""
    here = audio.to(device)
    for module in EFFECTS:
        chain = module.build(module.Options(), sample_rate=RATE)
        single = build_clipwise_chain(chain)
        work = {"batch": lambda chain=chain: run(chain, here), "calls": lambda single=single: run(single, audio)}
        times = shortest_times(work, rounds=rounds)
        batch, calls = (1000 * times[name] / len(audio) for name in ("batch", "calls"))
        name = module.__name__.rpartition(".")[2]
        print(
            f"{name} alone: {batch:.2f} ms per clip, clip by clip {calls:.2f} ms, ratio {calls / batch:.1f}", flush=True
        )


if __name__ == "__main__":
    main()
