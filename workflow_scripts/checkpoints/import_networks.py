"""Published checkpoints: encoders, regression heads and waveform decoders of the PASE code, encoders of the CLMR code,
and U-Nets, back ends and joint networks of the MSSPT code.

Sizes are read from the tensors' shapes. `published` says what the files may hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from torch import Tensor, nn

from workflow_scripts.checkpoints.import_encoder import encoder
from workflow_scripts.checkpoints.published import Published, explained, load_exactly, read
from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import msspt, msspt_joint
from workflow_scripts.networks.decoder import STRIDES, WaveformDecoder
from workflow_scripts.networks.heads import RegressionHead
from workflow_scripts.networks.msspt_joint import JointNetwork
from workflow_scripts.networks.short_chunk_cnn import ShortChunkCnn

__all__ = ["encoder", "joint_network", "read", "regression_head", "short_chunk_cnn", "waveform_decoder"]

Network = TypeVar("Network", bound=nn.Module)


def regression_head(published: Published, *, outputs: int | None = None) -> RegressionHead:
    """Build a worker's head (class `MLPMinion`) with the published weights, in evaluation mode.

    The file tells the values per frame, not of how many frames they are: `outputs` says how many values a frame has,
    and the rest are neighbouring frames (7 in workers+.cfg). Raises `UserError` if the file holds something else.
    """
    with explained(published.path, "imported as a regression head"):
        shapes = published.shapes
        layers = sum(key.startswith("blocks.") and key.endswith(".W.weight") for key in shapes)
        first = shapes["blocks.0.W.weight" if layers else "W.weight"]
        predicted = shapes["W.weight"][0]
        neighbours, left = divmod(predicted, outputs or predicted)
        if left or neighbours % 2 == 0:
            raise UserError(f"it predicts {predicted} values, which are no odd number of frames of {outputs}")
        head = RegressionHead(
            inputs=first[1],
            outputs=outputs or predicted,
            hidden=first[0],
            hidden_layers=layers,
            context=first[2],
            neighbours=neighbours,
        )
        load_exactly(head, published)
    return head.eval()


def waveform_decoder(published: Published) -> WaveformDecoder:
    """Build the waveform decoder (class `DecoderMinion`) with the published weights, in evaluation mode.

    The file does not tell the strides; they are those of workers.cfg and workers+.cfg. Raises `UserError` if the file
    holds something else.
    """
    with explained(published.path, "imported as a waveform decoder"):
        shapes = published.shapes
        blocks = sum(key.startswith("blocks.") and key.endswith(".deconv.weight") for key in shapes)
        layers = sum(key.startswith("blocks.") and key.endswith(".W.weight") for key in shapes)
        if blocks != len(STRIDES):
            raise UserError(f"it has {blocks} transposed convolutions, not {len(STRIDES)}")
        upsampling = [shapes[f"blocks.{number}.deconv.weight"] for number in range(blocks)]
        decoder = WaveformDecoder(
            inputs=upsampling[0][0],
            outputs=shapes["W.weight"][0],
            maps=[shape[1] for shape in upsampling],
            kernels=[shape[2] for shape in upsampling],
            hidden=shapes["W.weight"][1],
            hidden_layers=layers,
        )
        load_exactly(decoder, published)
    return decoder.eval()


def short_chunk_cnn(published: Published) -> ShortChunkCnn:
    """Build the back end of the MSSPT code alone with the published weights, in evaluation mode.

    It takes `Maps` and gives logits (batch, classes). For magnitudes m (batch, 1, 384, 256) of windows of 61,792
    samples (`spectrogram.spectrum(audio).abs()[:, None, :, :256]`) these are `Maps(magnitude=m, masked=m[:, :0])`: no
    sources, no logarithm. Raises `UserError` if the file holds something else, or only a part.
    """
    return _renamed_network(
        published,
        what="a Short-Chunk CNN",
        weights=msspt.back_end_weights,
        build=msspt_joint.back_end_of,
    )


def joint_network(published: Published) -> JointNetwork:
    """Build the joint network of the MSSPT code's first version with the published weights, in evaluation mode.

    It takes magnitudes (batch, 1, 384, 256) of windows of 61,792 samples, not their logarithms, and gives logits
    (batch, classes): its U-Net makes the `Maps` that its back end hears. Raises `UserError` if the file holds something
    else, or only a part.
    """
    return _renamed_network(
        published, what="a joint network", weights=msspt_joint.first_version_weights, build=msspt_joint.joint_of
    )


def _renamed_network(
    published: Published,
    *,
    what: str,
    weights: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    build: Callable[[dict[str, tuple[int, ...]]], Network],
) -> Network:
    """Build the network that weights of other names belong to, with them, in evaluation mode."""
    with explained(published.path, f"imported as {what}"):
        published = replace(published, state=weights(published.state))
        network = build(published.shapes)
        load_exactly(network, published)
    return network.eval()
