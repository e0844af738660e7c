"""Echo: the audio is added once more after a delay."""

from __future__ import annotations

from torch import Tensor

from workflow_scripts.effects.chain import Effect, scale_to_integers


class RandomEcho(Effect):
    """Adds an echo after a randomly drawn delay."""

    n_uniforms = 1

    def __init__(
        self, *, shortest: int, longest: int, step: int, factor: float, halved: bool, sample_rate: int
    ) -> None:
        """Draw delays from `shortest` to `longest` ms, both included, in steps of `step` ms.

        `factor`: of the delayed audio. `halved`: return half the sum.
        """
        self.shortest, self.longest, self.step = shortest, longest, step
        self.factor, self.halved, self.sample_rate = factor, halved, sample_rate

    def __call__(self, audio: Tensor, uniforms: Tensor) -> Tensor:
        """Return the audio with its echo."""
        steps = scale_to_integers(uniforms[:, 0], low=0, high=(self.longest - self.shortest) // self.step)
        milliseconds = self.shortest + self.step * steps
        echoed = add_echo(audio, delays=milliseconds * self.sample_rate // 1000, factor=self.factor)
        return echoed / 2 if self.halved else echoed


def add_echo(audio: Tensor, *, delays: Tensor, factor: float) -> Tensor:
    """Add to audio (batch, samples) the same audio, times `factor`, after `delays` (batch,) int64 samples."""
    echoed = audio.clone()
    for delay in delays.unique().tolist():
        rows = (delays == delay).nonzero()[:, 0].to(audio.device)
        kept = max(0, audio.shape[-1] - delay)
        echo = audio.new_zeros(len(rows), audio.shape[-1])
        echo[:, audio.shape[-1] - kept :] = audio[rows, :kept] * factor
        echoed.index_add_(0, rows, echo)
    return echoed
