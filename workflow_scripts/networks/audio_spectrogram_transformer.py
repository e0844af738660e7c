"""The Audio Spectrogram Transformer (Gong et al. 2021; `ast_models.py` of its code), and the maps of a U-Net in it.

Its names are those of the code's state dict, without the two heads for ImageNet's 1000 classes, which nothing uses.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks.sizes.audio_spectrogram_transformer import (
    BLOCKS,
    COLUMNS,
    PATCH,
    PUBLISHED_GRIDS,
    ROWS,
    SIZES,
    Grid,
    Size,
)

SPECIAL_TOKENS = 2  # before those of the patches: class and distillation
EPSILON = 1e-6  # of timm's layer normalisations
INITIAL_STD = 0.02  # of the initial weights, as in vision transformers


class Transformer(nn.Module):
    """The distilled vision transformer: patches of spectrograms to tokens."""

    def __init__(self, size: Size, *, channels: int, grid: Grid) -> None:
        """Build 12 blocks for a grid of patches."""
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, SPECIAL_TOKENS + grid.rows * grid.columns, size.width))
        self.dist_token = nn.Parameter(torch.zeros(1, 1, size.width))
        strides = (grid.band_stride, grid.frame_stride)
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(channels, size.width, PATCH, stride=strides)})
        norm = functools.partial(nn.LayerNorm, eps=EPSILON)
        self.blocks = nn.ModuleList(
            Block(size.width, size.heads, mlp_ratio=4.0, qkv_bias=True, norm_layer=norm)  # type: ignore[arg-type]
            for _ in range(BLOCKS)
        )
        self.norm = norm(size.width)

    def patches(self, spectrograms: Tensor) -> Tensor:
        """Project patches of spectrograms (batch, channels, bands, frames) to tokens (batch, patches, width), low rows
        first.
        """
        return self.patch_embed["proj"](spectrograms).flatten(2).transpose(1, 2)

    def forward(self, spectrograms: Tensor, added: Mapping[int, Tensor]) -> Tensor:
        """Compute tokens (batch, 2 + patches, width) of spectrograms (batch, channels, bands, frames).

        `added[n]` (batch, patches, width) is added to the tokens of the patches before block n.
        """
        # tokens of the patches behind the special ones, with their positions
        patches = self.patches(spectrograms)
        special = torch.cat([self.cls_token, self.dist_token], dim=1).expand(len(patches), -1, -1)
        tokens = torch.cat([special.to(patches.dtype), patches], dim=1) + self.pos_embed
        for number, block in enumerate(self.blocks):
            if number in added:
                # zeros for the special tokens
                tokens = tokens + functional.pad(added[number], (0, 0, SPECIAL_TOKENS, 0))
            tokens = block(tokens)
        return self.norm(tokens)


class Ast(nn.Module):
    """Log-mel spectrograms to one logit per class."""

    def __init__(
        self,
        size: Size,
        *,
        outputs: int,
        channels: int = 1,
        stride: int,
        columns: int = COLUMNS,
        band_stride: int = PATCH,
    ) -> None:
        """Build the network with weights from torch's global generator.

        Time is padded with zeros, half on each side, as far as `columns` patches of 16 frames, `stride` apart, are
        longer than a spectrogram: with stride 8 one of 384 frames by 4 and 4 for 48 columns, and not at all for 47.
        Patches along frequency are `band_stride` bands apart. What is beyond the last whole patch is not read: with
        stride 10 the last 8 of 1024 frames and the last 2 of 128 bands.
        """
        super().__init__()
        grid = Grid(band_stride=band_stride, frame_stride=stride, columns=columns)
        self.frames = PATCH + (columns - 1) * stride  # that the patches cover
        self.v = Transformer(size, channels=channels, grid=grid)
        self.mlp_head = nn.Sequential(nn.LayerNorm(size.width), nn.Linear(size.width, outputs))
        self.apply(init_weights)
        for token in (self.v.cls_token, self.v.dist_token, self.v.pos_embed):
            nn.init.trunc_normal_(token, std=INITIAL_STD)

    def forward(self, spectrograms: Tensor, added: Mapping[int, Tensor] | None = None) -> Tensor:
        """Compute logits (batch, outputs) of spectrograms (batch, channels, frames, 128); `added` as in
        `Transformer`.
        """
        padding = max(0, self.frames - spectrograms.shape[2])
        padded = functional.pad(spectrograms.transpose(2, 3), (padding // 2, padding - padding // 2))
        tokens = self.v(padded, added or {})
        return self.mlp_head(tokens[:, :SPECIAL_TOKENS].mean(dim=1))


class Patchify(nn.Module):
    """A U-Net's map as one token for each patch: a convolution whose kernel covers a patch.

    The frames of a map with fewer frames than there are columns are repeated first.
    """

    def __init__(self, channels: int, width: int, *, frames: int, bins: int) -> None:
        """Build the convolution for maps of `channels` channels, `frames` frames and `bins` bins."""
        super().__init__()
        self.repeats = max(1, COLUMNS // frames)
        kernel = (max(1, frames // COLUMNS), bins // ROWS)
        self.proj = nn.Conv2d(channels, width, kernel, stride=kernel)
        init_weights(self.proj)

    def forward(self, maps: Tensor) -> Tensor:
        """Project maps (batch, channels, frames, bins) to tokens (batch, 384, width), low rows first."""
        return self.proj(maps.repeat_interleave(self.repeats, dim=2)).transpose(2, 3).flatten(2).transpose(1, 2)


def init_weights(layer: nn.Module) -> None:
    """Draw initial weights as in vision transformers: a narrow truncated normal; biases are zero."""
    if isinstance(layer, nn.Linear | nn.Conv2d):
        nn.init.trunc_normal_(layer.weight, std=INITIAL_STD)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def build_from_shapes(shapes: Mapping[str, Sequence[int]]) -> Ast:
    """Build the network whose state dict has these shapes.

    The strides are not in the file; the number of patches tells which of the published grids it is. Raises `UserError`
    for another grid or width, `LookupError` where a tensor is missing.
    """
    width, patches = shapes["v.cls_token"][-1], shapes["v.pos_embed"][1] - SPECIAL_TOKENS
    size = next((size for size in SIZES.values() if size.width == width), None)
    if size is None:
        raise UserError(f"its tokens have {width} values: it is none of {', '.join(SIZES)}")
    grids = {grid.rows * grid.columns: grid for grid in PUBLISHED_GRIDS}
    if patches not in grids:
        raise UserError(
            f"it has {patches} patches, not {', '.join(map(str, sorted(grids)))}: it was trained on another grid"
        )
    return Ast(
        size,
        outputs=shapes["mlp_head.1.weight"][0],
        stride=grids[patches].frame_stride,
        columns=grids[patches].columns,
        band_stride=grids[patches].band_stride,
    )


def load_deit(network: Ast, state: Mapping[str, Tensor]) -> None:
    """Load a distilled DeiT's weights for ImageNet, by timm's names; the head keeps its initial values.

    As in the AST code, the colours' kernels are summed (each channel gets the sum), and the square grid of positions is
    cropped to its middle along an axis that is longer than here, and resized bilinearly along one that is shorter.
    Raises `UserError` for a network of another size or without distillation token.
    """
    # is it a distilled DeiT of this size?
    own = network.v.state_dict()
    positions, kernel = state.get("pos_embed"), state.get("patch_embed.proj.weight")
    if positions is None or kernel is None or "dist_token" not in state:
        raise UserError("it is no distilled DeiT: it has no pos_embed, patch_embed.proj.weight or dist_token")
    if positions.shape[-1] != own["pos_embed"].shape[-1] or kernel.shape[1:] != (3, PATCH, PATCH):
        raise UserError(
            f"its tokens have {positions.shape[-1]} values, not {own['pos_embed'].shape[-1]}, or its patches are not "
            "16 x 16: it is a DeiT of another size"
        )
    # positions and kernel for this grid and these channels
    channels = own["patch_embed.proj.weight"].shape[1]
    weights = {key: value for key, value in state.items() if key in own}
    weights["pos_embed"] = _resize_positions(positions, columns=(own["pos_embed"].shape[1] - SPECIAL_TOKENS) // ROWS)
    weights["patch_embed.proj.weight"] = kernel.sum(dim=1, keepdim=True).expand(-1, channels, -1, -1)
    # every tensor, with its shape
    missing = [key for key in own if key not in weights]
    if missing:
        raise UserError(
            f"it lacks {len(missing)} of {len(own)} tensors, first {missing[0]}: it is only a part of a DeiT"
        )
    misshapen = [key for key, value in weights.items() if value.shape != own[key].shape]
    if misshapen:
        key = misshapen[0]
        raise UserError(f"{key} has shape {tuple(weights[key].shape)}: it is a DeiT of another size")
    network.v.load_state_dict(weights)


def _resize_positions(positions: Tensor, *, columns: int) -> Tensor:
    """Return positions (1, 2 + 8 columns, width) from those of a square grid, (1, 2 + side squared, width)."""
    special, square = positions[:, :SPECIAL_TOKENS], positions[:, SPECIAL_TOKENS:]
    side = round(square.shape[1] ** 0.5)
    if side * side != square.shape[1]:
        raise UserError(f"its {square.shape[1]} positions make no square grid")
    grid = square.transpose(1, 2).reshape(1, -1, side, side)
    # stretch time where it is shorter, then crop both axes to their middle
    if columns > side:
        grid = functional.interpolate(grid, size=(side, columns), mode="bilinear")
    row, column = _crop_start(grid.shape[2], ROWS), _crop_start(grid.shape[3], columns)
    grid = grid[:, :, row : row + ROWS, column : column + columns]
    return torch.cat([special, grid.flatten(2).transpose(1, 2)], dim=1)


def _crop_start(length: int, part: int) -> int:
    """Return the first index of the middle `part` of an axis, as the AST code rounds it."""
    return length // 2 - part // 2


def map_sizes(frames: int, levels: int) -> Sequence[tuple[int, int]]:
    """Return frames and bins of the first `levels` maps of a U-Net for `frames` frames, coarse to fine."""
    return [(frames // 2**k, 256 // 2**k) for k in range(5, 5 - levels, -1)]
