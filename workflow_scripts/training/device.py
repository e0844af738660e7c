"""Where to train and with which precision."""

from __future__ import annotations

import platform

import torch

from workflow_scripts.errors import UserError


def best_device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def use_threads(threads: int) -> None:
    """Let torch compute on `threads` CPU threads; 0 leaves the choice to torch."""
    if threads:
        torch.set_num_threads(threads)


def device_name(device: torch.device) -> str:
    """Return the device as records state it."""
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else f"cpu: {platform.machine()}"


def autocast_type(precision: str, device: torch.device) -> torch.dtype | None:
    """Type for autocast, or None for plain float32; `UserError` where bf16 is asked of a GPU that lacks it."""
    if precision == "float32" or (precision == "auto" and device.type != "cuda"):
        return None
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        if precision == "auto":
            return None
        raise UserError("recipe: precision bf16 is not supported by this GPU: use auto or float32")
    return torch.bfloat16
