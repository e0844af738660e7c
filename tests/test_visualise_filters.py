"""Spectra of filters by gradient ascent: the artefact of the stride, and the command."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.corpora import write_corpus
from tests.records import seal
from workflow_scripts import visualise_filters
from workflow_scripts.checkpoints.encoder_file import save_encoder
from workflow_scripts.core.checksums import read_record
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import cpc, samplecnn
from workflow_scripts.networks.filter_spectra import compute_spectra, first_stride
from workflow_scripts.statistics.filter_spectra import LayerSpectra, read_spectra

CPU = torch.device("cpu")


def spectra_of(level, layer: int, objective: str, **options: float) -> LayerSpectra:
    torch.manual_seed(0)
    blocks = list(level.build(level.Options(**options)).eval().requires_grad_(False).convolution_blocks)
    power = compute_spectra(blocks, layer, objective=objective, mean=0.0, std=0.15, device=CPU)
    return LayerSpectra(power=power, sample_rate=22050, stride=first_stride(blocks))


@pytest.mark.parametrize(("level", "width", "line"), [(samplecnn, 1.0, 22050 / 3), (cpc, 0.2, 22050 / 5)])
def test_an_untrained_first_layer_peaks_at_rate_over_stride_with_mean_and_not_with_centre(level, width, line):
    """The band that the thesis finds remarkable is there before any training."""
    mean = spectra_of(level, 1, "mean", width=width)
    assert mean.lines[0] == line
    assert mean.on_line.mean() > 0.75
    assert 3 / 365 <= mean.line_chance < 0.03  # a line has the bins on both sides
    assert spectra_of(level, 1, "centre", width=width).on_line.mean() < 0.1


def test_each_filter_climbs_alone():
    """A filter has the same spectrum in a layer of which others were changed."""
    torch.manual_seed(0)
    blocks = list(samplecnn.build(samplecnn.Options(width=0.05)).eval().requires_grad_(False).convolution_blocks)
    before = compute_spectra(blocks, 2, objective="mean", mean=0.0, std=0.15, device=CPU)
    blocks[1][0].weight[3:] *= -2
    after = compute_spectra(blocks, 2, objective="mean", mean=0.0, std=0.15, device=CPU)
    np.testing.assert_allclose(after[:3], before[:3], rtol=1e-4)
    assert np.abs(after[3:] / before[3:] - 1).max() > 0.1


def test_a_filter_that_is_a_tone_has_its_frequency_with_centre():
    """A kernel of 90 samples of a tone of 1,225 Hz responds most to that tone."""
    tone = torch.cos(2 * torch.pi * 1225 / 22050 * torch.arange(90.0))
    convolution = torch.nn.Conv1d(1, 1, 90, bias=False)
    convolution.weight.data = tone[None, None]
    power = compute_spectra([torch.nn.Sequential(convolution)], 1, objective="centre", mean=0.0, std=0.15, device=CPU)
    spectra = LayerSpectra(power=power, sample_rate=22050, stride=1)
    assert spectra.peaks[0] == pytest.approx(1225, abs=2 * spectra.bin_width)


NARROW = {"name": "samplecnn", "options": {"sample_rate": 8000, "width": 0.03}}


def run(output, corpus, *more, encoder=NARROW) -> None:
    flags = ["--config", json.dumps({"encoder": encoder, "seed": 4}), "--code", "c0de"]
    visualise_filters.main([*flags, "--corpus", str(corpus.folder), "--output", str(output), *map(str, more)])


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "tones", clips=10, seconds=1.0, sample_rate=8000)


def test_the_command_writes_six_layers_for_both_objectives_and_a_record(corpus, tmp_path):
    run(tmp_path / "a" / "spectra.npz", corpus)
    run(tmp_path / "b" / "spectra.npz", corpus)
    assert (tmp_path / "a" / "spectra.npz").read_bytes() == (tmp_path / "b" / "spectra.npz").read_bytes()
    for objective in ("mean", "centre"):
        assert read_spectra(tmp_path / "a" / "spectra.npz", layer=6, objective=objective).power.shape[1] == 365
        assert read_spectra(tmp_path / "a" / "spectra.npz", layer=7, objective=objective) is None
    record = read_record(tmp_path / "a" / "record.json")
    rows = corpus.rows("train")
    audio = np.concatenate([corpus.cut(row) for row in rows])
    assert record["audio_std"] == pytest.approx(audio.std(), rel=1e-5)
    assert record["data"] == {"tones": corpus.facts.digest}


def test_a_pretrained_encoder_is_read_from_its_file(corpus, tmp_path):
    torch.manual_seed(5)
    options = samplecnn.Options(**NARROW["options"])
    path = tmp_path / "run" / "encoder.safetensors"
    save_encoder(path, samplecnn.build(options), name="samplecnn", options=options, code="c0de")
    seal(path)
    run(tmp_path / "own" / "spectra.npz", corpus, "--encoder-file", path)
    run(tmp_path / "drawn" / "spectra.npz", corpus)
    own, drawn = (
        read_spectra(tmp_path / name / "spectra.npz", layer=1, objective="mean").power for name in ("own", "drawn")
    )
    assert not np.allclose(own, drawn)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"encoder\.safetensors .* run again"):
        run(tmp_path / "own" / "spectra.npz", corpus, "--encoder-file", path)


def test_an_encoder_without_such_filters_is_refused(tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=10, seconds=1.0)
    with pytest.raises(UserError, match="encoder pase is no stack of convolutions"):
        run(tmp_path / "spectra.npz", corpus, encoder={"name": "pase", "options": {"width": 0.05}})
