"""musicnn, a convolutional tagger with filters shaped for timbre and for rhythm (Pons and Serra 2019).

Built as the network `musicnn` of the package of that name, with the layers in the order in which that package builds
them, by which the weights of its TensorFlow checkpoints are found.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal

import librosa
import torch
from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.core.errors import UserError
from workflow_scripts.features.precision import without_autocast
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.keras_weights import Layer, name_layers, rename_weights
from workflow_scripts.networks.sizes.musicnn import (
    CHANNELS,
    FRONT_CHANNELS,
    HOP,
    MEL_BANDS,
    MIDDLE_FILTERS,
    MIDDLE_KERNEL,
    MIDDLE_LAYERS,
    N_FFT,
    PENULTIMATE,
    SAMPLE_RATE,
    TAGS,
    TEMPO_FILTERS,
    TEMPO_KERNELS,
    TIMBRE_FILTERS,
    TIMBRE_KERNELS,
    WINDOW,
    WINDOW_FRAMES,
)

EPSILON = 1e-3  # of batch normalisation, Keras's default
MOMENTUM = 0.01  # share of the last batch in the running statistics, Keras's default
DROPOUT = 0.5  # before both dense layers, while the network learns
COMPRESSION = 10000.0  # of the mel power, before 1 is added and the logarithm to base 10 is taken
LARGEST_HALF = 65504.0  # largest number of 16 bits
#: windows computed together outside training: each takes 40 MB
WINDOWS_AT_ONCE = 16
CLASSIFIER = "tags"  # layer of the tagger that the encoder does without


class _FrequencyPooled(nn.Module):
    """Convolution, ReLU and batch normalisation over (batch, 1, frames, bands), and the maximum over the bands."""

    def __init__(self, filters: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, filters, kernel)
        self.norm = _norm2d(filters)
        # as many frames out as in; of an odd number to add, TensorFlow adds the larger half behind
        self.before, self.behind = (kernel[0] - 1) // 2, kernel[0] // 2

    def forward(self, maps: Tensor) -> Tensor:
        """Map (batch, 1, frames, bands) to (batch, frames, filters)."""
        padded = functional.pad(maps, (0, 0, self.before, self.behind))
        return self.norm(functional.relu(self.conv(padded))).amax(-1).transpose(1, 2)


class _Middle(nn.Module):
    """Convolution over time of all channels, ReLU and batch normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, MIDDLE_FILTERS, (MIDDLE_KERNEL, channels), padding=(MIDDLE_KERNEL // 2, 0))
        self.norm = _norm2d(MIDDLE_FILTERS)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (batch, frames, channels) to (batch, frames, 64)."""
        return self.norm(functional.relu(self.conv(frames[:, None])))[..., 0].transpose(1, 2)


class MusicnnBody(nn.Module):
    """musicnn up to the layer before the tags."""

    def __init__(self) -> None:
        """Build the network with weights from torch's global generator."""
        super().__init__()
        self.norm_in = _norm2d(1)
        self.timbre = nn.ModuleList(_FrequencyPooled(TIMBRE_FILTERS, kernel) for kernel in TIMBRE_KERNELS)
        self.tempo = nn.ModuleList(_FrequencyPooled(TEMPO_FILTERS, (frames, 1)) for frames in TEMPO_KERNELS)
        self.middle = nn.ModuleList(
            _Middle(MIDDLE_FILTERS if number else FRONT_CHANNELS) for number in range(MIDDLE_LAYERS)
        )
        self.norm_pooled = nn.BatchNorm1d(2 * CHANNELS, eps=EPSILON, momentum=MOMENTUM)
        self.dropout = nn.Dropout(DROPOUT)
        self.dense = nn.Linear(2 * CHANNELS, PENULTIMATE)
        self.norm_dense = nn.BatchNorm1d(PENULTIMATE, eps=EPSILON, momentum=MOMENTUM)

    def pool_maps(self, spectrogram: Tensor) -> Tensor:
        """Compute maximum and mean over time of all maps, in turns, (windows, 1506), of spectrograms (windows, frames,
        96).
        """
        normalised = self.norm_in(spectrogram[:, None])
        # filters for timbre and for rhythm, read side by side
        front = torch.cat([layer(normalised) for layer in (*self.timbre, *self.tempo)], dim=-1)
        # three layers over time, with residual connections from the second on
        maps = [front, self.middle[0](front)]
        for layer in self.middle[1:]:
            maps.append(layer(maps[-1]) + maps[-1])
        pooled = torch.cat(maps, dim=-1)
        return torch.stack([pooled.amax(1), pooled.mean(1)], dim=-1).flatten(1)

    def encode(self, spectrogram: Tensor) -> Tensor:
        """Compute the layer before the tags, (windows, 200), of spectrograms (windows, frames, 96)."""
        hidden = self.dense(self.dropout(self.norm_pooled(self.pool_maps(spectrogram))))
        return self.norm_dense(functional.relu(hidden))


class MusicnnTagger(MusicnnBody):
    """musicnn with its tags: 50 of MagnaTagATune, or 50 of the Million Song Dataset."""

    def __init__(self) -> None:
        """Build the network with weights from torch's global generator."""
        super().__init__()
        self.tags = nn.Linear(PENULTIMATE, TAGS)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Compute logits (windows, 50) of spectrograms (windows, frames, 96)."""
        return self.tags(self.dropout(self.encode(spectrogram)))


class Musicnn(Encoder):
    """Frames of three seconds from musicnn, each from its own window of the spectrogram."""

    sample_rate = SAMPLE_RATE
    hop = WINDOW

    def __init__(self, *, layer: Literal["pooled", "penultimate"]) -> None:
        """Build the network with weights from torch's global generator; `layer` is its output."""
        super().__init__()
        self.layer = layer
        self.embedding_size = PENULTIMATE if layer == "penultimate" else 2 * CHANNELS
        self.body = MusicnnBody()

    def forward(self, audio: Tensor) -> Tensor:
        """Encode audio (batch, samples) to float32 frames (batch, embedding_size, windows).

        Windows follow each other without overlap. A remainder at the end is dropped; audio shorter than a window is one
        window of its own length.
        """
        windows = cut_windows(log_mel_spectrogram(audio))
        flat = windows.flatten(0, 1)
        encode = self.body.encode if self.layer == "penultimate" else self.body.pool_maps
        # batch normalisation in training needs all windows at once
        parts = [flat] if self.training else flat.split(WINDOWS_AT_ONCE)
        frames = torch.cat([encode(part).float() for part in parts])
        return frames.view(len(windows), -1, self.embedding_size).transpose(1, 2)


@without_autocast
def log_mel_spectrogram(audio: Tensor) -> Tensor:
    """Compute musicnn's input (batch, frames, 96) of audio (batch, samples): mel power, compressed by a logarithm.

    Equals `librosa.feature.melspectrogram` of 2019 (reflected ends), rounded to 16 bits as the package does it. The
    package also computes the logarithm in 16 bits, where it overflows for loud music; here it is computed in 32. Raises
    `UserError` for audio of at most 256 samples, which cannot be reflected.
    """
    if audio.shape[-1] <= N_FFT // 2:
        raise UserError(f"musicnn needs more than {N_FFT // 2} samples, got {audio.shape[-1]}: choose a longer chunk")
    window = torch.hann_window(N_FFT, device=audio.device)
    spectrum = torch.stft(
        audio.float(), N_FFT, HOP, window=window, center=True, pad_mode="reflect", return_complex=True
    )
    mel = spectrum.abs().square().transpose(1, 2) @ _mel_filters(audio.device)
    rounded = mel.clamp(max=LARGEST_HALF).half().float()
    return torch.log10(COMPRESSION * rounded + 1)


def cut_windows(spectrogram: Tensor) -> Tensor:
    """Cut spectrograms (batch, frames, 96) into windows, (batch, windows, 187, 96).

    A remainder is dropped; a shorter spectrogram is one window of its own length.
    """
    frames = spectrogram.shape[1]
    if frames < WINDOW_FRAMES:
        return spectrogram[:, None]
    count = frames // WINDOW_FRAMES
    return spectrogram[:, : count * WINDOW_FRAMES].unflatten(1, (count, WINDOW_FRAMES))


def select_tagger_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of the package's checkpoint by the names of `MusicnnTagger`.

    The state of its optimiser is left out. Raises `UserError` if none of its layers is there.
    """
    layers = name_layers(_list_layers())
    weights = rename_weights(state, layers)
    if not any(name.rpartition(".")[0] in layers for name in weights):
        raise UserError("it holds no musicnn: neither conv2d/kernel nor layer_with_weights-0/gamma")
    return weights


def select_encoder_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of the package's checkpoint by the names of `Musicnn`, without those of the tags."""
    weights = select_tagger_weights(state)
    return {f"body.{name}": value for name, value in weights.items() if not name.startswith(f"{CLASSIFIER}.")}


@functools.cache
def _list_layers() -> list[Layer]:
    """List the tagger's layers in the order in which the package builds them, which is that of computation."""
    with torch.device("meta"):
        network = MusicnnTagger()
    return [(name, type(module)) for name, module in network.named_modules()]


def _norm2d(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON, momentum=MOMENTUM)


@functools.lru_cache
def _mel_filters(device: torch.device) -> Tensor:
    """Build Slaney's mel filters, (257, 96)."""
    filters = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=MEL_BANDS)
    with torch.inference_mode(False):
        return torch.from_numpy(filters.T.copy()).to(device)
