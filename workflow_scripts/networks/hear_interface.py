"""The interface of HEAR for an exported encoder: what the module of an export holds, with nothing else of Prelude.

`load_model`, `get_scene_embeddings` and `get_timestamp_embeddings` are those of the HEAR 2021 interface. The folder of
an export has this module in a package, and beside the package `model.safetensors` and `config.json`.
"""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.sizes.spectrogram import BINS

WEIGHTS, CONFIG = "model.safetensors", "config.json"
#: Hz: all that HEAR allows; an encoder of another rate resamples from the next higher one
RATES = (16000, 22050, 32000, 44100, 48000)
MAX_SAMPLES = 2**19  # of crops that are encoded at once: 0.5 GB for the networks that need most
#: of the resampling filter: zero crossings on each side, and its cutoff as a share of half the lower rate
ZEROS, ROLLOFF = 16, 0.97


class HearModel(nn.Module):
    """An encoder with the facts that HEAR asks for."""

    def __init__(self, encoder: Encoder, *, shortest: int) -> None:
        """Wrap an encoder; shorter audio than `shortest` samples (at its own rate) is repeated."""
        super().__init__()
        self.encoder, self.shortest = encoder, encoder.crop_length or shortest
        self.sample_rate = choose_rate(encoder.sample_rate)
        self.scene_embedding_size = encoder.pooled_size
        # masks of sources are no part of an embedding
        self.timestamp_embedding_size = encoder.embedding_size - BINS * encoder.separates

    def embed_scenes(self, audio: Tensor) -> Tensor:
        """Return one embedding (sounds, size) of each sound (sounds, samples): the mean over its crops.

        As Prelude evaluates a clip: in consecutive crops, of which the last part is left out, or as a whole.
        """
        audio = self._prepare(audio)
        if self.encoder.crop_length is None:
            return self.encoder.pool(self.encoder(audio)).float()
        crops = audio.unfold(-1, self.encoder.crop_length, self.encoder.crop_length)
        pooled = [self.encoder.pool(self.encoder(part)) for part in self._parts(crops)]
        return torch.cat(pooled).float().view(*crops.shape[:2], -1).mean(dim=1)

    def embed_frames(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Return frames (sounds, frames, size) of sounds (sounds, samples), and the middle of each in ms.

        The end is padded with silence up to a whole frame or crop; frames whose middle lies behind the audio are left
        out, unless there would be none. Times are counted in samples, so that they do not drift.
        """
        hop, rate = self.encoder.hop, self.encoder.sample_rate
        samples = math.ceil(audio.shape[-1] * rate / self.sample_rate)
        audio = self._prepare(audio)
        if self.encoder.crop_length is None:
            frames = self.encoder(functional.pad(audio, (0, -audio.shape[-1] % hop)))
        else:
            frames = self._encode_crops(audio)
        middles = (torch.arange(frames.shape[-1], dtype=torch.float64) + 0.5) * hop
        count = int((middles <= samples).sum())
        if not count:
            middles, count = torch.tensor([samples / 2]), 1
        times = (middles[:count] * 1000 / rate).to(audio.device, torch.float32)
        frames = frames[:, : self.timestamp_embedding_size, :count].transpose(1, 2).float()
        return frames, times.expand(len(frames), -1)

    def _encode_crops(self, audio: Tensor) -> Tensor:
        """Return frames (sounds, channels, frames) one `hop` apart from crops that follow each other by whole frames.

        A crop may have fewer frames than hops, where the last windows lack samples, or one more: crops begin where the
        frames of the one before end.
        """
        length, hop = self.encoder.crop_length, self.encoder.hop
        assert length is not None, "only encoders with a crop length"
        per_crop = min(self.encoder(audio[:1, :length]).shape[-1], length // hop)
        step = per_crop * hop
        count = max(1, math.ceil((audio.shape[-1] - length) / step) + 1)
        padded = functional.pad(audio, (0, max(0, (count - 1) * step + length - audio.shape[-1])))
        crops = padded.unfold(-1, length, step)
        frames = torch.cat([self.encoder(part)[..., :per_crop] for part in self._parts(crops)])
        return frames.unflatten(0, tuple(crops.shape[:2])).transpose(1, 2).flatten(2)

    def _prepare(self, audio: Tensor) -> Tensor:
        """Return audio at the encoder's rate, repeated if it is too short."""
        audio = resample(audio.float(), self.sample_rate, self.encoder.sample_rate)
        repeats = math.ceil(self.shortest / audio.shape[-1])
        return audio if repeats == 1 else audio.repeat(1, repeats)[:, : self.shortest]

    def _parts(self, crops: Tensor) -> tuple[Tensor, ...]:
        """Split crops (sounds, crops, samples) into batches that fit into memory."""
        return crops.flatten(0, 1).split(max(1, MAX_SAMPLES // crops.shape[-1]))


def load_model(model_file_path: str = "") -> HearModel:
    """Return the exported encoder, in evaluation mode on the CPU; `model_file_path` replaces its weights."""
    package, _, _ = __name__.partition(".networks.")
    folder = Path(__file__).parent.parent.parent
    config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    constructor = config["constructor"]
    module = importlib.import_module(f"{package}.{constructor['module']}")
    encoder: Encoder = getattr(module, constructor["class"])(**constructor["arguments"])
    encoder.load_state_dict(load_file(model_file_path or folder / WEIGHTS))
    return HearModel(encoder, shortest=config["shortest"]).eval()


def get_scene_embeddings(audio: Tensor, model: HearModel) -> Tensor:
    """Return one embedding (sounds, size) of each sound (sounds, samples) at the model's rate, in [-1, 1]."""
    return model.embed_scenes(audio)


def get_timestamp_embeddings(audio: Tensor, model: HearModel) -> tuple[Tensor, Tensor]:
    """Return embeddings (sounds, frames, size) of sounds (sounds, samples), and their times (sounds, frames) in ms."""
    return model.embed_frames(audio)


def choose_rate(rate: int) -> int:
    """Return the rate at which HEAR passes audio to an encoder of `rate` Hz: its own, or the next higher allowed."""
    return next((allowed for allowed in RATES if allowed >= rate), RATES[-1])


def resample(audio: Tensor, before: int, after: int) -> Tensor:
    """Resample audio (sounds, samples) from a rate in Hz to another by a windowed sinc (a Hann window's square root).

    Computed as `torchaudio.functional.resample` does it, which this module does without.
    """
    divisor = math.gcd(before, after)
    before, after = before // divisor, after // divisor
    if before == after:
        return audio
    # impulse responses of the filter at the places of the new samples within a period
    cutoff = ROLLOFF * min(before, after)
    width = math.ceil(ZEROS * before / cutoff)
    inputs = torch.arange(-width, width + before, dtype=torch.float64) / before
    outputs = torch.arange(after, dtype=torch.float64)[:, None] / after
    times = ((inputs - outputs) * cutoff).clamp(-ZEROS, ZEROS)
    kernels = torch.sinc(times) * torch.cos(times * math.pi / ZEROS / 2).square() * cutoff / before
    # a period of new samples for each period of old ones
    padded = functional.pad(audio, (width, width + before))
    periods = functional.conv1d(padded[:, None], kernels[:, None].to(audio), stride=before)
    return periods.transpose(1, 2).flatten(1)[:, : math.ceil(audio.shape[-1] * after / before)]
