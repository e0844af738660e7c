"""Small networks for encoders whose network is not part of Prelude."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

#: a class as X-ARES asks for it; the keys are what a test may change
CLASS = """
import torch

class Tiny(torch.nn.Module):
    sampling_rate = {rate}
    output_dim = {size}
    hop_size_in_ms = 10

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution = torch.nn.Conv1d(1, 8, 320, stride=160)

    def forward(self, audio):
        return self.convolution(audio[:, None]).transpose(1, 2)
"""


def write_module(folder: Path, *, text: str = CLASS, rate: int = 16000, size: int = 8) -> dict[str, object]:
    """Write a class into a file; return the options of the level `module`."""
    file = folder / "tiny_encoder.py"
    file.write_text(text.format(rate=rate, size=size), encoding="utf-8")
    return {"path": str(file)}


#: level of an external encoder -> what writes an example and returns its options
EXAMPLES: dict[str, Callable[[Path], dict[str, object]]] = {"module": write_module}
