"""Networks from published checkpoints, encoders aside.

Regression heads and waveform decoders of the PASE code, back ends and joint networks of the MSSPT code, and the Audio
Spectrogram Transformer. Sizes are read from the tensors' shapes; `weight_files` states what the files may hold.

No command imports this module (`import_checkpoint` imports encoders). The parity tests do: they load weights of the
authors' networks into the networks that the workflow trains, and compare the outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from torch import Tensor, nn

from workflow_scripts.checkpoints.import_encoder import import_encoder
from workflow_scripts.checkpoints.weight_files import CheckpointFile, load_exactly, name_file_in_errors, read_checkpoint
from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import msspt, msspt_joint
from workflow_scripts.networks.decoder import STRIDES, WaveformDecoder
from workflow_scripts.networks.msspt_joint import JointNetwork
from workflow_scripts.networks.regression_head import RegressionHead
from workflow_scripts.networks.short_chunk_cnn import ShortChunkCnn

if TYPE_CHECKING:
    from workflow_scripts.networks.audio_spectrogram_transformer import Ast

__all__ = [
    "import_ast",
    "import_encoder",
    "import_joint_network",
    "import_regression_head",
    "import_short_chunk_cnn",
    "import_waveform_decoder",
    "read_checkpoint",
]

#: what the keys of the AST's heads for ImageNet begin with, which the files carry along
AST_UNUSED = ("v.head.", "v.head_dist.")

Network = TypeVar("Network", bound=nn.Module)


def import_regression_head(checkpoint: CheckpointFile, *, outputs: int | None = None) -> RegressionHead:
    """Build a worker's head (class `MLPMinion`) with the published weights, in evaluation mode.

    The file has the values predicted per frame, but not over how many frames: `outputs` is the number of values a frame
    has, and the rest are neighbouring frames (7 in workers+.cfg). Raises `UserError` if the file holds something else.
    """
    with name_file_in_errors(checkpoint.path, "imported as a regression head"):
        shapes = checkpoint.shapes
        layers = sum(key.startswith("blocks.") and key.endswith(".W.weight") for key in shapes)
        first = shapes["blocks.0.W.weight" if layers else "W.weight"]
        predicted = shapes["W.weight"][0]
        neighbours, remainder = divmod(predicted, outputs or predicted)
        if remainder or neighbours % 2 == 0:
            raise UserError(f"it predicts {predicted} values, which are no odd number of frames of {outputs}")
        head = RegressionHead(
            inputs=first[1],
            outputs=outputs or predicted,
            hidden=first[0],
            hidden_layers=layers,
            context=first[2],
            neighbours=neighbours,
        )
        load_exactly(head, checkpoint)
    return head.eval()


def import_waveform_decoder(checkpoint: CheckpointFile) -> WaveformDecoder:
    """Build the waveform decoder (class `DecoderMinion`) with the published weights, in evaluation mode.

    The strides are not in the file; they are those of workers.cfg and workers+.cfg. Raises `UserError` if the file
    holds something else.
    """
    with name_file_in_errors(checkpoint.path, "imported as a waveform decoder"):
        shapes = checkpoint.shapes
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
        load_exactly(decoder, checkpoint)
    return decoder.eval()


def import_short_chunk_cnn(checkpoint: CheckpointFile) -> ShortChunkCnn:
    """Build the back end of the MSSPT code alone with the published weights, in evaluation mode.

    It maps `Maps` to logits (batch, classes). For magnitudes m (batch, 1, 384, 256) of windows of 61,792 samples
    (`spectrogram.spectrum(audio).abs()[:, None, :, :256]`) these are `Maps(magnitude=m, masked=m[:, :0])`: no sources,
    no logarithm. Raises `UserError` if the file holds something else, or only a part.
    """
    return _import(
        checkpoint,
        description="a Short-Chunk CNN",
        weights=msspt.select_back_end_weights,
        build=msspt_joint.build_back_end,
    )


def import_joint_network(checkpoint: CheckpointFile) -> JointNetwork:
    """Build the joint network of the MSSPT code's first version with the published weights, in evaluation mode.

    It maps magnitudes (batch, 1, 384, 256) of windows of 61,792 samples, not their logarithms, to logits (batch,
    classes): its U-Net computes the `Maps` for its back end. Raises `UserError` if the file holds something else, or
    only a part.
    """
    return _import(
        checkpoint,
        description="a joint network",
        weights=msspt_joint.select_first_version_weights,
        build=msspt_joint.build_joint_network,
    )


def import_ast(checkpoint: CheckpointFile) -> Ast:
    """Build an AST with the published weights, in evaluation mode.

    Those for AudioSet map log-mel spectrograms (batch, 1, 1024, 128), which the AST code computes as Kaldi does and
    scales by (x + 4.2677393) / 9.1379948, to logits (batch, 527). Their patches are 10 (1212 of them), 12, 14 or 16
    bands and frames apart. Networks on windows of 384 frames are read, too. Raises `UserError` if the file holds
    something else, only a part, or a network for another grid of patches.
    """
    # timm, of whose blocks it is built, is slow to import
    from workflow_scripts.networks.audio_spectrogram_transformer import build_from_shapes  # noqa: PLC0415

    return _import(
        checkpoint,
        description="an AST",
        weights=lambda state: {key: value for key, value in state.items() if not key.startswith(AST_UNUSED)},
        build=build_from_shapes,
    )


def _import(
    checkpoint: CheckpointFile,
    *,
    description: str,
    weights: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    build: Callable[[dict[str, tuple[int, ...]]], Network],
) -> Network:
    """Build a network from the shapes of its `weights` among those of a file; return it with them, in evaluation
    mode.
    """
    with name_file_in_errors(checkpoint.path, f"imported as {description}"):
        used = replace(checkpoint, state=weights(checkpoint.state))
        network = build(used.shapes)
        load_exactly(network, used)
    return network.eval()
