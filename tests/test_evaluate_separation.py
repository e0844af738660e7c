"""Separation quality: the ratios follow their definitions, and the file contains them source by source."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.corpora import write_corpus
from tests.records import seal
from workflow_scripts import evaluate_separation
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.checkpoints.encoder_file import save_encoder
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import unet
from workflow_scripts.evaluation.separation_quality import measure_separation, separate, si_sdr, summarise
from workflow_scripts.networks import spectrogram
from workflow_scripts.networks.sizes.spectrogram import frame_count, sample_count
from workflow_scripts.workers.separation import SOURCES

OPTIONS = unet.Options(width=0.25)
NUMBERS = ("si_sdr", "si_sdr_of_mixture", "sdr", "sdr_of_mixture")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpora") / "songs"
    return write_corpus(folder, clips=10, seconds=1.3, task="unlabelled", stems=SOURCES)


class OpenMasks(nn.Module):
    """Encoder whose masks are 1, so every estimate is the mixture."""

    separates = 4

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(audio), 4 * 256, frame_count(audio.shape[-1]))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100), noise=st.floats(0.01, 10))
def test_si_sdr_follows_its_definition_and_is_scale_invariant(seed, scale, noise):
    rng = np.random.default_rng(seed)
    reference, error = rng.standard_normal((2, 50))
    estimate = reference + noise * error
    dot = sum(a * b for a, b in zip(estimate, reference, strict=True)) / sum(a * a for a in reference)
    signal = sum((dot * a) ** 2 for a in reference)
    distortion = sum((b - dot * a) ** 2 for a, b in zip(reference, estimate, strict=True))
    expected = 10 * math.log10(signal / distortion)
    ratio = si_sdr(torch.from_numpy(scale * estimate), torch.from_numpy(reference))
    assert float(ratio) == pytest.approx(expected, abs=1e-6)


def test_si_sdr_is_finite_for_a_perfect_and_for_a_silent_estimate():
    reference = torch.randn(50, generator=torch.Generator().manual_seed(0)).double()
    assert float(si_sdr(3 * reference, reference)) == pytest.approx(150, abs=3)
    assert float(si_sdr(torch.zeros(50), reference)) == pytest.approx(-150)


def test_the_estimates_of_a_song_have_no_seams():
    torch.manual_seed(0)
    audio = torch.randn(sample_count(900) + 77)
    estimates = separate(OpenMasks(), audio)
    assert estimates.shape == (4, sample_count(900))
    inside = slice(352, -352)
    torch.testing.assert_close(estimates[2][inside], audio[: estimates.shape[1]][inside], atol=1e-5, rtol=0)


def test_each_segment_is_separated_as_in_training():
    encoder, audio = unet.build(OPTIONS).eval(), 0.1 * torch.randn(sample_count(500))
    with torch.no_grad():
        second = encoder(audio[None, 384 * 160 :])[0, -256:]
        expected = spectrogram.invert_stft(
            spectrogram.apply_masks(spectrogram.compute_stft(audio[None, 384 * 160 :]), second.T[None, None])[0]
        )
    estimate = separate(encoder, audio)[0]
    torch.testing.assert_close(estimate[384 * 160 + 352 :][:-352], expected[0][352:-352], atol=1e-5, rtol=0)


def test_an_encoder_with_open_masks_has_no_gain(corpus):
    qualities = measure_separation(
        OpenMasks(), corpus, corpus.rows("test"), sources=SOURCES, device=torch.device("cpu")
    )
    assert len(qualities) == 2 * 4
    for source, numbers in summarise(qualities).items():
        assert numbers["songs"] == 2
        assert numbers["si_sdr_gain"] == pytest.approx(0, abs=0.1), source  # the ends of a song are attenuated
        assert numbers["sdr_gain"] == pytest.approx(0, abs=0.5)


def test_the_ratios_do_not_depend_on_the_number_of_threads(corpus):
    before, runs = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            runs.append(
                measure_separation(
                    OpenMasks(), corpus, corpus.rows("test"), sources=SOURCES, device=torch.device("cpu")
                )
            )
    finally:
        torch.set_num_threads(before)
    for single, several in zip(*runs, strict=True):
        assert (several.sdr, several.si_sdr) == pytest.approx((single.sdr, single.si_sdr), abs=1e-3)


@pytest.mark.parametrize("silent", [["drums"], ["drums", "bass", "other"]])
def test_a_source_that_is_silent_or_alone_in_a_song_is_left_out(tmp_path, silent):
    corpus = write_corpus(tmp_path / "songs", clips=10, seconds=1.0, task="unlabelled", stems=SOURCES)
    row = corpus.rows("test")[0]
    for stem in silent:
        samples = np.memmap(corpus.folder / f"audio.{stem}.int16", dtype="<i2", mode="r+")
        samples[corpus.offsets[row] : corpus.offsets[row] + corpus.lengths[row]] = 0
        samples.flush()
        seal(corpus.folder / f"audio.{stem}.int16")
    qualities = measure_separation(
        OpenMasks(), Corpus(corpus.folder), corpus.rows("test"), sources=SOURCES, device=torch.device("cpu")
    )
    left_out = silent if len(silent) == 1 else SOURCES
    assert {source: numbers["songs"] for source, numbers in summarise(qualities).items()} == {
        **dict.fromkeys(SOURCES, 2),
        **dict.fromkeys(left_out, 1),
    }


def worker(name: str, **options: str) -> dict[str, object]:
    return {"name": name, "options": options}


def arguments(corpus: Corpus, tmp_path, **changes) -> list[str]:
    torch.manual_seed(1)
    save_encoder(tmp_path / "encoder.safetensors", unet.build(OPTIONS), name="unet", options=OPTIONS, code="c0de")
    seal(tmp_path / "encoder.safetensors")
    encoder = {"name": "unet", "options": {"width": 0.25}}
    config = {"encoder": encoder, "worker": worker("separation", source="vocals"), "split": "test", **changes}
    paths = ["--encoder-file", str(tmp_path / "encoder.safetensors"), "--output", str(tmp_path / "quality.json")]
    return ["--config", json.dumps(config), "--code", "c0de", "--corpus", str(corpus.folder), *paths]


def test_the_file_contains_each_source_and_song(corpus, tmp_path):
    evaluate_separation.main(arguments(corpus, tmp_path))
    content = json.loads((tmp_path / "quality.json").read_text())
    assert content["songs"] == len(content["by_song"]) == 2
    numbers = content["sources"]["vocals"]
    for name in NUMBERS:
        assert numbers[name] == pytest.approx(np.mean([song[name] for song in content["by_song"]]))
    assert numbers["si_sdr_gain"] == pytest.approx(numbers["si_sdr"] - numbers["si_sdr_of_mixture"])
    assert content["data"] == {corpus.facts.dataset: corpus.facts.digest}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"worker": worker("mfcc")}, "worker mfcc separates nothing: choose separation"),
        ({"worker": worker("separation", source="all")}, "needs an encoder with 4 masks"),
        ({"split": "nothing"}, "has no songs in its nothing split, .*: put some that are not in train/ into nothing/"),
    ],
)
def test_incompatible_settings_are_refused_in_one_line(corpus, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        evaluate_separation.main(arguments(corpus, tmp_path, **changes))


def test_a_corpus_without_stems_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no stem vocals"):
        evaluate_separation.main(arguments(write_corpus(tmp_path / "tones", clips=5), tmp_path))
