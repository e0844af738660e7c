"""The Audio Spectrogram Transformer (Gong et al. 2021; `ast_models.py` of its code), and a U-Net's maps in it.

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
from workflow_scripts.networks.sizes.audio_spectrogram_transformer import BLOCKS, COLUMNS, PATCH, ROWS, SIZES, Size

SPECIAL = 2  # tokens before those of the patches: class and distillation
EPSILON = 1e-6  # of timm's layer normalisations
DEVIATION = 0.02  # of the first weights, as vision transformers begin


class Transformer(nn.Module):
    """Patches of spectrograms to tokens: the distilled vision transformer."""

    def __init__(self, size: Size, *, channels: int, stride: int, columns: int) -> None:
        """Build 12 blocks for a grid of 8 x `columns` patches, `stride` frames apart."""
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, SPECIAL + ROWS * columns, size.width))
        self.dist_token = nn.Parameter(torch.zeros(1, 1, size.width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(channels, size.width, PATCH, stride=(PATCH, stride))})
        norm = functools.partial(nn.LayerNorm, eps=EPSILON)
        self.blocks = nn.ModuleList(
            Block(size.width, size.heads, mlp_ratio=4.0, qkv_bias=True, norm_layer=norm)  # type: ignore[arg-type]
            for _ in range(BLOCKS)
        )
        self.norm = norm(size.width)

    def patches(self, spectrograms: Tensor) -> Tensor:
        """Tokens (batch, patches, width), low rows first, of spectrograms (batch, channels, bands, frames)."""
        return self.patch_embed["proj"](spectrograms).flatten(2).transpose(1, 2)

    def forward(self, spectrograms: Tensor, added: Mapping[int, Tensor]) -> Tensor:
        """Tokens (batch, 2 + patches, width); `added[n]` (batch, patches, width) joins the patches before block n."""
        patches = self.patches(spectrograms)
        special = torch.cat([self.cls_token, self.dist_token], dim=1).expand(len(patches), -1, -1)
        tokens = torch.cat([special.to(patches.dtype), patches], dim=1) + self.pos_embed
        for number, block in enumerate(self.blocks):
            if number in added:
                tokens = tokens + functional.pad(added[number], (0, 0, SPECIAL, 0))
            tokens = block(tokens)
        return self.norm(tokens)


class Ast(nn.Module):
    """Log-mel spectrograms to one logit per class."""

    def __init__(self, size: Size, *, outputs: int, channels: int = 1, stride: int, columns: int = COLUMNS) -> None:
        """Build the network with weights from torch's global generator.

        Time is padded with zeros, half on each side, as far as `columns` patches of 16 frames, `stride` apart, are
        longer than a spectrogram: with stride 8 one of 384 frames by 4 and 4 for 48 columns, and not at all for 47.
        """
        super().__init__()
        self.covered = PATCH + (columns - 1) * stride  # frames
        self.v = Transformer(size, channels=channels, stride=stride, columns=columns)
        self.mlp_head = nn.Sequential(nn.LayerNorm(size.width), nn.Linear(size.width, outputs))
        self.apply(start)
        for token in (self.v.cls_token, self.v.dist_token, self.v.pos_embed):
            nn.init.trunc_normal_(token, std=DEVIATION)

    def forward(self, spectrograms: Tensor, added: Mapping[int, Tensor] | None = None) -> Tensor:
        """Logits (batch, outputs) of spectrograms (batch, channels, frames, 128); `added` as in `Transformer`."""
        missing = self.covered - spectrograms.shape[2]
        padded = functional.pad(spectrograms.transpose(2, 3), (missing // 2, missing - missing // 2))
        tokens = self.v(padded, added or {})
        return self.mlp_head(tokens[:, :SPECIAL].mean(dim=1))


class Patchify(nn.Module):
    """A U-Net's map as one token for each patch: a convolution whose kernel covers a patch.

    A map of fewer frames than there are columns is held as many frames as it stands for first.
    """

    def __init__(self, channels: int, width: int, *, frames: int, bins: int) -> None:
        """Build the convolution for maps of `channels` channels, `frames` frames and `bins` bins."""
        super().__init__()
        self.held = max(1, COLUMNS // frames)
        kernel = (max(1, frames // COLUMNS), bins // ROWS)
        self.proj = nn.Conv2d(channels, width, kernel, stride=kernel)
        start(self.proj)

    def forward(self, maps: Tensor) -> Tensor:
        """Tokens (batch, 384, width), low rows first, of maps (batch, channels, frames, bins)."""
        return self.proj(maps.repeat_interleave(self.held, dim=2)).transpose(2, 3).flatten(2).transpose(1, 2)


def start(layer: nn.Module) -> None:
    """Draw first weights as vision transformers do: a narrow normal, cut off; biases are zero."""
    if isinstance(layer, nn.Linear | nn.Conv2d):
        nn.init.trunc_normal_(layer.weight, std=DEVIATION)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def network_of(shapes: Mapping[str, Sequence[int]]) -> Ast:
    """Build the network on windows of 384 frames whose state dict has these shapes.

    The strides are not in the file; with 8 rows of patches those along frequency are 16, and with 47 or 48 columns
    those along time are 8. Raises `UserError` for another grid or width, `LookupError` where a tensor is missing.
    """
    width, patches = shapes["v.cls_token"][-1], shapes["v.pos_embed"][1] - SPECIAL
    size = next((size for size in SIZES.values() if size.width == width), None)
    if size is None:
        raise UserError(f"its tokens have {width} values: it is none of {', '.join(SIZES)}")
    if patches not in (ROWS * (COLUMNS - 1), ROWS * COLUMNS):
        raise UserError(f"it has {patches} patches, not 8 rows of 47 or 48: it was trained on another grid")
    return Ast(size, outputs=shapes["mlp_head.1.weight"][0], stride=8, columns=patches // ROWS)


def load_deit(network: Ast, state: Mapping[str, Tensor]) -> None:
    """Start from a distilled DeiT's weights for ImageNet, by timm's names; the head keeps its first values.

    As in the AST code, the colours' kernels are summed (each channel is given the sum), and the square grid of
    positions is cut in its middle along an axis that is longer than here, and resized bilinearly along one that is
    shorter. Raises `UserError` for a network of another size or without distillation token.
    """
    own = network.v.state_dict()
    positions, kernel = state.get("pos_embed"), state.get("patch_embed.proj.weight")
    if positions is None or kernel is None or "dist_token" not in state:
        raise UserError("it is no distilled DeiT: it has no pos_embed, patch_embed.proj.weight or dist_token")
    if positions.shape[-1] != own["pos_embed"].shape[-1] or kernel.shape[1:] != (3, PATCH, PATCH):
        raise UserError(
            f"its tokens have {positions.shape[-1]} values, not {own['pos_embed'].shape[-1]}, or its patches are not "
            "16 x 16: it is a DeiT of another size"
        )
    channels = own["patch_embed.proj.weight"].shape[1]
    taken = {key: value for key, value in state.items() if key in own}
    taken["pos_embed"] = _resized(positions, columns=(own["pos_embed"].shape[1] - SPECIAL) // ROWS)
    taken["patch_embed.proj.weight"] = kernel.sum(dim=1, keepdim=True).expand(-1, channels, -1, -1)
    missing = [key for key in own if key not in taken]
    if missing:
        raise UserError(
            f"it lacks {len(missing)} of {len(own)} tensors, first {missing[0]}: it is only a part of a DeiT"
        )
    wrong = [key for key, value in taken.items() if value.shape != own[key].shape]
    if wrong:
        raise UserError(f"{wrong[0]} has shape {tuple(taken[wrong[0]].shape)}: it is a DeiT of another size")
    network.v.load_state_dict(taken)


def _resized(positions: Tensor, *, columns: int) -> Tensor:
    """Positions (1, 2 + 8 columns, width) from those of a square grid, (1, 2 + side squared, width)."""
    special, square = positions[:, :SPECIAL], positions[:, SPECIAL:]
    side = round(square.shape[1] ** 0.5)
    if side * side != square.shape[1]:
        raise UserError(f"its {square.shape[1]} positions make no square grid")
    grid = square.transpose(1, 2).reshape(1, -1, side, side)
    if columns > side:
        grid = functional.interpolate(grid, size=(side, columns), mode="bilinear")
    rows, first = _middle(grid.shape[2], ROWS), _middle(grid.shape[3], columns)
    grid = grid[:, :, rows : rows + ROWS, first : first + columns]
    return torch.cat([special, grid.flatten(2).transpose(1, 2)], dim=1)


def _middle(whole: int, part: int) -> int:
    return whole // 2 - part // 2


def frames_and_bins(frames: int, levels: int) -> Sequence[tuple[int, int]]:
    """Size of the first `levels` maps of a U-Net for `frames` frames, coarse to fine."""
    return [(frames // 2**k, 256 // 2**k) for k in range(5, 5 - levels, -1)]
