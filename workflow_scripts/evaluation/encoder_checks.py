"""Checks of an encoder's contract, point by point: what evaluation and pre-training rely on."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation.new_audio import embed_audio, fit_length
from workflow_scripts.levels import registry
from workflow_scripts.networks.external import ExternalEncoder
from workflow_scripts.networks.interfaces import Encoder

#: seconds of the clips: the shortest that evaluation passes on, a chunk, a long chunk, and a clip of most data sets
DURATIONS = (0.5, 3.0, 10.0, 30.0)
BATCH_TOLERANCE = 1e-4  # of the largest value: kernels for other batch sizes sum in another order
REPEAT_TOLERANCE = 1e-6  # of the largest value: the same operations on the same processor give nearly the same bits
EDGE_FRAMES = 2  # that padding adds or that the last window lacks, in addition to `EDGE_SHARE`
EDGE_SHARE = 0.2  # of a window's frames that a network without padding may lack
BATCH = 3  # clips: two can depend on each other in ways that cancel in their mean


class EncoderFault(Exception):  # noqa: N818 - a fault of the encoder, not an error of this program
    """A point of the contract that an encoder does not keep."""


@dataclass(frozen=True)
class Finding:
    """Outcome of one check: the point of the contract, whether it is kept, and numbers or the fault."""

    point: str
    passed: bool
    detail: str


def check_encoder(
    level: ModuleType, options: Mapping[str, Any], *, durations: tuple[float, ...] = DURATIONS
) -> Iterator[Finding]:
    """Build an encoder and yield what each check finds; there is one finding only if it cannot be built.

    Its code may be a user's: any exception is a finding.
    """
    memory = _peak_memory()
    try:
        torch.manual_seed(0)
        chosen = registry.options(level, options)
        subject = _Subject(level, chosen, level.build(chosen).eval(), durations)
        yield Finding("build", True, type(subject.encoder).__name__)
    except (Exception, SystemExit) as error:
        yield Finding("build", False, _describe(error))
        return
    checks: dict[str, Callable[[_Subject], str]] = {
        "rate": _check_rate,
        "shapes": _check_shapes,
        "audio unchanged": _check_input,
        "batch as single clip": _check_batch,
        **{f"clip of {seconds:g} s": partial(_check_duration, seconds=seconds) for seconds in durations},
        "silence": _check_silence,
        "finite": _check_finite,
        "same result again": _check_repeat,
        "frames per second": _check_hop,
        "gradients": _check_gradients,
        "parameters": _count_parameters,
        "speed": _measure_speed,
        "memory": lambda _: f"{(_peak_memory() - memory) / 1e6:,.0f} MB more than before, at its peak",
    }
    for point, check in checks.items():
        try:
            yield Finding(point, True, check(subject))
        except (Exception, SystemExit) as error:
            yield Finding(point, False, _describe(error))


@dataclass
class _Subject:
    level: ModuleType
    options: Any
    encoder: Encoder
    durations: tuple[float, ...]

    def sound(self, seconds: float, *, seed: int = 0) -> np.ndarray:
        """Return float32 audio: a chord over noise, with onsets twice a second, another one for another seed."""
        rate = self.encoder.sample_rate
        rng = np.random.default_rng(seed)
        at = np.arange(round(seconds * rate)) / rate
        pitches = rng.uniform(100, rate / 8, size=(3, 1))
        tones = np.sin(2 * np.pi * pitches * at).mean(axis=0) * np.exp(-6 * (at % 0.5))
        return (0.5 * tones + 0.05 * rng.standard_normal(len(at))).astype(np.float32)

    def batch(self, seconds: float) -> Tensor:
        """Return different clips (`BATCH`, samples), as long as evaluation would pass them on."""
        clips = [fit_length(self.sound(seconds, seed=seed), self.encoder) for seed in range(BATCH)]
        return torch.from_numpy(np.stack([clip[: self.encoder.crop_length] for clip in clips]))

    @property
    def seconds(self) -> float:
        """Duration of most checks: a chunk."""
        return self.durations[1]

    @cached_property
    def longest(self) -> float:
        """Duration of the checks that need frames: at most 10 s, since more would show nothing more."""
        return max(seconds for seconds in self.durations if seconds <= DURATIONS[2])


def _check_rate(subject: _Subject) -> str:
    stated, actual = subject.level.sample_rate(subject.options), subject.encoder.sample_rate
    if stated != actual:
        raise EncoderFault(f"the file states {stated} Hz, its network reads {actual} Hz")
    return f"{actual} Hz"


@torch.inference_mode()
def _check_shapes(subject: _Subject) -> str:
    encoder = subject.encoder
    audio = subject.batch(subject.seconds)
    frames = encoder(audio)
    pooled = encoder.pool(frames)
    if frames.ndim != 3 or tuple(frames.shape[:2]) != (BATCH, encoder.embedding_size) or not frames.shape[2]:
        expected = f"({BATCH}, {encoder.embedding_size}, frames)"
        raise EncoderFault(f"frames have the shape {tuple(frames.shape)}, not {expected}")
    if tuple(pooled.shape) != (BATCH, encoder.pooled_size):
        raise EncoderFault(f"embeddings have the shape {tuple(pooled.shape)}, not {(BATCH, encoder.pooled_size)}")
    if frames.dtype != torch.float32:
        raise EncoderFault(f"frames are {frames.dtype}, not torch.float32")
    return f"frames {tuple(frames.shape)}, embeddings {tuple(pooled.shape)}"


@torch.inference_mode()
def _check_input(subject: _Subject) -> str:
    audio = subject.batch(subject.seconds)
    before = audio.clone()
    subject.encoder(audio)
    if not torch.equal(audio, before):
        raise EncoderFault("the encoder changes the audio that it is given: copy it before a change in place")
    return "the encoder leaves it as it is"


@torch.inference_mode()
def _check_batch(subject: _Subject) -> str:
    encoder, audio = subject.encoder, subject.batch(subject.seconds)
    together = encoder(audio)
    alone = torch.cat([encoder(clip[None]) for clip in audio])
    difference = max(
        _difference(together, alone),
        _difference(encoder.pool(together), torch.cat([encoder.pool(frames[None]) for frames in alone])),
    )
    if not difference <= BATCH_TOLERANCE:
        raise EncoderFault(
            f"a clip's embedding depends on the other clips of its batch: it differs by {difference:.1e} of the "
            f"largest value, more than {BATCH_TOLERANCE:g}"
        )
    return f"differs by {difference:.0e} of the largest value"


def _check_duration(subject: _Subject, *, seconds: float) -> str:
    embeddings = embed_audio(subject.encoder, subject.sound(seconds))
    _require_finite(embeddings, "music")
    return "1 embedding" if len(embeddings) == 1 else f"{len(embeddings)} embeddings, one of each crop"


def _check_silence(subject: _Subject) -> str:
    silence = np.zeros(round(subject.seconds * subject.encoder.sample_rate), np.float32)
    _require_finite(embed_audio(subject.encoder, silence), "silence")
    return "finite"


def _check_finite(subject: _Subject) -> str:
    sound = subject.sound(subject.seconds)
    click = np.zeros_like(sound)
    click[len(click) // 2] = 1
    kinds = {
        "a click": click,
        "a clipped square wave": np.sign(sound),
        "a constant": np.full_like(sound, 0.5),
        "quiet music": sound * np.float32(1e-4),  # at the limit below which a clip is quarantined as silent
        "music with silence before it": np.concatenate([np.zeros_like(sound), sound]),
    }
    for kind, audio in kinds.items():
        _require_finite(embed_audio(subject.encoder, audio), kind)
    return ", ".join(kinds)


def _check_repeat(subject: _Subject) -> str:
    sound = subject.sound(subject.seconds)
    first = embed_audio(subject.encoder, sound)
    difference = max(_difference(embed_audio(subject.encoder, sound), first) for _ in range(2))
    if not difference <= REPEAT_TOLERANCE:
        raise EncoderFault(
            f"the same clip gives another embedding the next time, by {difference:.1e} of the largest value: something "
            "is random in evaluation mode, or is kept from call to call"
        )
    return f"differs by {difference:.0e} of the largest value"


@torch.inference_mode()
def _check_hop(subject: _Subject) -> str:
    encoder = subject.encoder
    if isinstance(encoder, ExternalEncoder):
        hop, counts = _external_frames(encoder, subject)
    else:
        hop = encoder.hop / encoder.sample_rate
        counts = {_seconds(audio, encoder): encoder(audio).shape[-1] for audio in _pair(subject)}
    if hop is None:
        return "the network states none"
    if not hop > 0:
        raise EncoderFault(f"the network states {hop * 1000:g} ms between two frames")
    (short, few), (long, many) = counts.items() if len(counts) > 1 else ((0, 0), *counts.items())
    expected = (long - short) / hop
    allowed = 1 + 1e-6 * expected if short else EDGE_FRAMES + EDGE_SHARE * expected
    if abs(many - few - expected) > allowed:
        raise EncoderFault(
            f"{long - short:g} s more audio give {many - few} more frames, not about {expected:.1f}: the hop is stated "
            f"as {hop * 1000:g} ms"
        )
    return f"{1 / hop:.4g}, one each {hop * 1000:.4g} ms"


def _external_frames(encoder: ExternalEncoder, subject: _Subject) -> tuple[float | None, dict[float, int]]:
    """Return the stated seconds between two frames of a network, and its frames for each duration that it may read."""
    pair = [audio[:, : encoder.crop_length] for audio in _pair(subject)]
    counts: dict[float, int] = {}
    for audio in pair:
        own = encoder.own_frames(audio)
        if own is None:
            return None, {}
        frames, hop = own
        counts[_seconds(audio, encoder)] = frames.shape[1]
    return hop, counts


def _pair(subject: _Subject) -> Iterator[Tensor]:
    """Yield two clips (1, samples) of different lengths; their numbers of frames show the hop."""
    for seconds in (subject.seconds, subject.longest):
        yield torch.from_numpy(fit_length(subject.sound(seconds), subject.encoder))[None]


def _seconds(audio: Tensor, encoder: Encoder) -> float:
    return audio.shape[-1] / encoder.sample_rate


def _check_gradients(subject: _Subject) -> str:
    parameters = [parameter for parameter in subject.encoder.parameters() if parameter.requires_grad]
    if not subject.level.TRAINABLE:
        return "none needed: nothing is trained"
    pooled = subject.encoder.pool(subject.encoder(subject.batch(subject.seconds)))
    if not pooled.requires_grad and not getattr(subject.encoder, "promises_gradients", True):
        return "none arrive: for frozen cells only"
    if not parameters:
        raise EncoderFault("no parameter can be trained: none requires a gradient")
    if not pooled.requires_grad:
        raise EncoderFault("embeddings have no gradient: look for no_grad, detach or numpy in forward")
    # random weights: those of a layer normalisation add up to a constant
    weights = torch.randn(pooled.shape, generator=torch.Generator().manual_seed(0))
    (pooled * weights).sum().backward()
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not all(gradient.isfinite().all() for gradient in gradients):
        raise EncoderFault("gradients are not finite")
    reached = sum(bool(gradient.any()) for gradient in gradients)
    subject.encoder.zero_grad(set_to_none=True)
    if not reached:
        raise EncoderFault("no parameter gets a gradient from the embedding")
    return f"reach {reached} of {len(parameters)} parameter tensors"


def _count_parameters(subject: _Subject) -> str:
    counts = [parameter.numel() for parameter in subject.encoder.parameters()]
    return f"{sum(counts):,}"


def _measure_speed(subject: _Subject) -> str:
    sound = subject.sound(subject.longest)
    started = time.perf_counter()
    embed_audio(subject.encoder, sound)
    return f"{subject.longest / (time.perf_counter() - started):,.0f} s of audio in a second"


def _require_finite(embeddings: Tensor, kind: str) -> None:
    if not embeddings.isfinite().all():
        raise EncoderFault(f"{kind} gives embeddings with NaN or infinite values")


def _difference(values: Tensor, reference: Tensor) -> float:
    """Return the largest difference, as a share of the largest value."""
    if values.shape != reference.shape:
        raise EncoderFault(f"shapes differ from call to call: {tuple(values.shape)} and {tuple(reference.shape)}")
    scale = float(reference.abs().max())
    return float((values - reference).abs().max()) / (scale or 1.0)


def _describe(error: BaseException) -> str:
    return str(error) if isinstance(error, EncoderFault | UserError) else f"{type(error).__name__}: {error}"


def _peak_memory() -> int:
    """Return the largest memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
