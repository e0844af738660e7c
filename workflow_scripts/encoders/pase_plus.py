"""PASE+: PASE with a quasi-recurrent layer and dense skips (Ravanelli et al. 2020; Wu et al. 2021, section 3.1).

Built as class `WaveFe` of the PASE code with `cfg/frontend/PASE+.cfg`, and with the same state-dict keys, so that
official checkpoints load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import blocks
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.normalised import NormalisedConvolution
from workflow_scripts.networks.qrnn import Qrnn

TRAINABLE = True
SAMPLE_RATE = 16000
HOP = blocks.HOP  # samples


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of PASE+.

    `embedding`: channels of the output (the paper's 512; the PASE code: 256). `width`: factor on the channels of the
    blocks and of the recurrent layers. `rnn_layers`: how many of those (1 in PASE+.cfg).
    """

    embedding: int = 512
    width: float = 1.0
    rnn_layers: int = 1

    def __post_init__(self) -> None:
        """Raise `UserError` for a network that cannot be built."""
        if self.embedding < 1 or not self.width > 0 or self.rnn_layers < 1:
            raise UserError(
                f"pase_plus needs embedding >= 1, width > 0 and rnn_layers >= 1, not {self.embedding}, {self.width} "
                f"and {self.rnn_layers}"
            )


class PasePlus(Encoder):
    """The PASE+ encoder.

    The official configuration asks for a recurrent layer in both directions, but its code gives one that runs forward
    in time and is as wide as both; so does this one.
    """

    sample_rate = SAMPLE_RATE
    hop = HOP

    def __init__(self, options: Options) -> None:
        """Build the network with weights from torch's global generator."""
        super().__init__()
        self.embedding_size = options.embedding
        *skipped, last = blocks.narrowed(options.width)
        self.denseskips = nn.ModuleList(nn.Conv1d(size, options.embedding, 1, bias=False) for size in skipped)
        self.blocks = blocks.build_blocks(options.width)
        self.rnn = Qrnn(last, last, layers=options.rnn_layers)
        self.W = NormalisedConvolution(last, options.embedding, 1)
        self.norm_out = nn.BatchNorm1d(options.embedding, affine=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Encode audio (batch, samples) to float32 frames (batch, embedding, samples // 160), rounded as PASE's.

        Raises `UserError` below 471 samples.
        """
        blocks.require_samples(audio)
        maps, earlier = audio[:, None], []
        for block in self.blocks:
            maps = block(maps)
            earlier.append(maps)
        frames = self.W(self.rnn(maps)[0]).to(self.W.weight.dtype)  # float32 under autocast too
        for skip, skipped in zip(self.denseskips, earlier, strict=False):  # the last block has no skip
            frames = frames + skip(_averaged(skipped, frames.shape[-1]))
        return self.norm_out(frames)


def _averaged(maps: Tensor, frames: int) -> Tensor:
    """Means over time of (batch, channels, more frames) in `frames` equal parts; what is left at the end is dropped.

    The official code averages behind the projection, which gives the same, since that is linear and has no bias, and
    costs 160 times as much for the first block.
    """
    factor = maps.shape[-1] // frames
    return maps[..., : frames * factor].unflatten(-1, (frames, factor)).mean(dim=-1)


def build(options: Options) -> PasePlus:
    """Build an untrained PASE+."""
    return PasePlus(options)


def options_of(shapes: Mapping[str, Sequence[int]]) -> Options:
    """Options of the network whose state dict has these shapes.

    Raises `UserError` if it is another network, `LookupError` where a tensor is missing or has too few axes.
    """
    if not any(key.startswith("denseskips.") for key in shapes):
        raise UserError("it has no dense skips, so it is no PASE+: import it as pase")
    layers = sum(key.startswith("rnn.layers.") and key.endswith(".linear.weight") for key in shapes)
    return Options(
        embedding=shapes["W.weight"][0],
        width=blocks.width_of(shapes),
        rnn_layers=max(1, layers),  # with none, what is missing is named when the weights are compared
    )
