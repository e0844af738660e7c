"""An encoder and a head with maps that learn in seconds, where the real ones take minutes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.scenarios.cells import CPU
from workflow_scripts.configuration.protocol import EvaluationProtocol
from workflow_scripts.evaluation.task import EvaluationTask, TrialStore
from workflow_scripts.networks.head_interfaces import MapsHead
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.maps import Maps

FRAME = 160
BINS = 32


class Stub(Encoder):
    """A "separator" whose one source is the mixture times a learned gain per bin."""

    sample_rate, hop, embedding_size = 16000, FRAME, BINS

    def __init__(self, sources: int = 1) -> None:
        super().__init__()
        self.sources = sources
        self.gain = nn.Parameter(0.1 * torch.randn(BINS))

    def forward(self, audio: Tensor) -> Tensor:
        return self.maps(audio).magnitude[:, 0].transpose(1, 2)

    def maps(self, waveform: Tensor) -> Maps:
        frames = waveform.unfold(-1, 2 * BINS, FRAME)
        magnitude = torch.fft.rfft(frames).abs()[:, None, :, :BINS]
        masked = (magnitude * self.gain.sigmoid()).expand(-1, self.sources, -1, -1)
        return Maps(magnitude=magnitude, masked=masked, decoder=(masked,) * self.sources)


class StubHead(MapsHead):
    """Log spectra, averaged over a window of ten frames, through one layer."""

    samples, hop = 10 * FRAME, 10 * FRAME

    def __init__(self, *, sources: int, outputs: int) -> None:
        super().__init__()
        self.mixture, self.source = nn.Linear(BINS, outputs), nn.Linear(BINS, outputs)
        self.norm, self.dropout = nn.BatchNorm1d(BINS), nn.Dropout(0.2)
        self.sources, self.taken_over = sources, 0
        self.batch_sizes: list[int] = []

    def forward(self, maps: Maps) -> Tensor:
        assert maps.masked.shape[1] == self.sources
        self.batch_sizes.append(len(maps.magnitude))
        spectrum = (maps.magnitude + 1e-3).log().mean(dim=(1, 2))
        logits = self.mixture(self.dropout(self.norm(spectrum)))
        return logits + self.source((maps.masked + 1e-3).log().mean(dim=(1, 2))) if self.sources else logits

    def initialise_from(self, alone: MapsHead) -> None:
        self.taken_over += 1
        self.load_state_dict(alone.state_dict())


def maps_cell(corpus, *, folder, trials=2, sources=1, built=None, fraction=1.0, **numbers) -> EvaluationTask:
    """A cell of stubs; heads that are built are appended to `built`."""
    classes = len(corpus.facts.classes)
    heads = [] if built is None else built

    def build_encoder(seed):
        torch.manual_seed(seed)
        return Stub(sources)

    def build_maps_head(given, decoder):
        assert decoder == [given] * given
        heads.append(StubHead(sources=given, outputs=classes))
        return heads[-1]

    return EvaluationTask(
        corpus=corpus,
        build_head=lambda inputs: None,
        build_maps_head=build_maps_head,
        fraction=fraction,
        trials=trials,
        settings=EvaluationProtocol(**numbers),
        device=CPU,
        store=TrialStore(folder, digest="digest"),
        build_encoder=build_encoder,
    )
