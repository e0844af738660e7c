"""The MSSPT code's back end and joint network from its published weights (its first version, of November 2023).

Only `checkpoints/import_networks.py` imports this module, for the parity tests of `unet` and `short_chunk_cnn`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import msspt, unet
from workflow_scripts.networks.log_mel import back_end_log10
from workflow_scripts.networks.maps import Maps
from workflow_scripts.networks.short_chunk_cnn import MAP_BLOCKS, ShortChunkCnn
from workflow_scripts.networks.sizes.short_chunk_cnn import CHANNELS_ALONE, CHANNELS_JOINT, SKIPS
from workflow_scripts.networks.sizes.unet import CHANNELS


class JointNetwork(nn.Module):
    """A U-Net and the Short-Chunk CNN behind it, on magnitudes.

    Its U-Net takes maxima whatever the number of sources, and the logarithms of the back end (`models.py` of the code);
    the separation network of four sources is trained with means (`separators.py`).
    """

    def __init__(self, separator: unet.UNet, back_end: ShortChunkCnn) -> None:
        """Join the two."""
        super().__init__()
        self.separator, self.back_end = separator, back_end

    def forward(self, magnitude: Tensor) -> Tensor:
        """Compute logits (batch, outputs) of magnitudes (batch, 1, 384, 256)."""
        separated = self.separator(back_end_log10(magnitude))
        return self.back_end(Maps(magnitude=magnitude, masked=separated.mask * magnitude, decoder=separated.decoder))


def select_first_version_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of the joint network by the names of `JointNetwork`; others keep their names.

    Raises `UserError` for those of the code's later versions, whose layers are not read here.
    """
    if any("kernel" in key and value.ndim == 4 and tuple(value.shape[:2]) == (1, 1) for key, value in state.items()):
        raise UserError(
            "it has convolutions 1x1 between U-Net and back end, as later versions of the MSSPT code: only networks of "
            "its first version can be read"
        )
    return msspt.select_joint_weights(state)


def build_back_end(shapes: Mapping[str, Sequence[int]]) -> ShortChunkCnn:
    """Build the back end whose state dict has these shapes.

    Raises `UserError` for the back end of a joint network, `LookupError` where a tensor is missing.
    """
    if tuple(shapes["blocks.1.conv1.weight"])[:2] != (CHANNELS_ALONE[1], CHANNELS_ALONE[0]):
        raise UserError("its second block is none of a back end alone: import it as a joint network")
    return ShortChunkCnn(sources=0, decoder=(), outputs=shapes["classes.weight"][0], adaptation="none")


def build_joint_network(shapes: Mapping[str, Sequence[int]]) -> JointNetwork:
    """Build the joint network whose state dict has these shapes.

    The shapes show which of the five blocks read the U-Net's maps: these have more input channels.
    Raises `UserError` where a block reads something else, `LookupError` where a tensor is missing.
    """
    sources = shapes["separator.mask.weight"][0]
    decoder = list(reversed(CHANNELS))
    # channels of each block's input besides those of the block before it
    added = {
        place: shapes[f"back_end.blocks.{place}.conv1.weight"][1] - CHANNELS_JOINT[place - 1] for place in MAP_BLOCKS
    }
    adapted = [place for place in MAP_BLOCKS if added[place]]
    if any(added[place] != decoder[SKIPS - place] for place in adapted):
        raise UserError("it has other connections between U-Net and back end than the code's first version")
    return JointNetwork(
        unet.UNet(sources=sources, pooling="max"),
        ShortChunkCnn(
            sources=sources,
            decoder=decoder,
            outputs=shapes["back_end.classes.weight"][0],
            adaptation="concatenation" if adapted else "none",
            adapted=adapted,
        ),
    )
