"""An encoder of yours as a class in a file, as docs/own-encoder.md describes it."""

import torch


class Tiny(torch.nn.Module):
    """One convolution over windows of 25 ms, 10 ms apart; yours would load its weights in `__init__`."""

    sampling_rate = 16000
    output_dim = 64
    hop_size_in_ms = 10

    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv1d(1, 64, 400, stride=160)

    def forward(self, audio):
        """Map (batch, samples) to (batch, frames, 64)."""
        return self.convolution(audio[:, None]).relu().transpose(1, 2)
