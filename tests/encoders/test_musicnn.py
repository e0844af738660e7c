"""musicnn gives the tags and logits of its package, and keeps the encoder contract."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from tests.checkout import REPOSITORY, SHARED, needs_shared
from workflow_scripts.checkpoints.import_encoder import import_encoder
from workflow_scripts.checkpoints.weight_files import CheckpointFile, load_exactly, read_checkpoint
from workflow_scripts.configuration.yaml_files import read_yaml
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import musicnn as level
from workflow_scripts.networks import musicnn
from workflow_scripts.networks.sizes.musicnn import SAMPLE_RATE, WINDOW
from workflow_scripts.sources.package_contents import open_member
from workflow_scripts.sources.packages import fetch_package

#: logits that the package computed with TensorFlow 2.15.1 of `golden_signal`; see the file
GOLDEN = Path(__file__).parent / "musicnn_logits.json"
RECORDING = "joram-moments_of_clarity-08-solipsism-59-88.mp3"
#: tags of the recording that the package's README prints, likeliest first
DOCUMENTED = ["techno", "electronic", "synth", "fast", "beat", "drums", "no vocals", "no vocal", "dance", "ambient"]
#: places of the tags in the package's list for MagnaTagATune
PLACES = [3, 6, 14, 8, 11, 5, 21, 28, 38, 10]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CheckpointFile]:
    """Both checkpoints that config.yaml names, from the package."""
    entries = read_yaml(REPOSITORY / "config" / "config.yaml")["checkpoints"]
    packages = {name: entry["package"] for name, entry in entries.items() if entry["encoder"] == "musicnn"}
    archive = tmp_path_factory.mktemp("package") / "archive"
    first = next(iter(packages.values()))
    try:
        fetch_package(first["name"], first["version"], sha256=first["sha256"], target=archive)
    except UserError as error:
        pytest.skip(f"the package cannot be fetched: {error}")
    files = {}
    for name, package in packages.items():
        with open_member(archive, sha256=package["sha256"], member=package["file"]) as path:
            files[name] = read_checkpoint(path)
    return files


def tagger(checkpoint: CheckpointFile) -> musicnn.MusicnnTagger:
    network = musicnn.MusicnnTagger()
    load_exactly(network, replace(checkpoint, state=musicnn.select_tagger_weights(checkpoint.state)))
    return network.eval()


def windows_of(audio: np.ndarray) -> torch.Tensor:
    return musicnn.cut_windows(musicnn.log_mel_spectrogram(torch.from_numpy(audio)[None]))[0]


def golden_signal() -> np.ndarray:
    """Two windows: a rising tone with overtones under swelling noise; quiet, for the package overflows at 16 bits."""
    time = np.arange(2 * WINDOW) / SAMPLE_RATE
    rng = np.random.default_rng(0)
    tone = sum(np.sin(2 * np.pi * number * (110 + 20 * time) * time) / number for number in range(1, 9))
    noise = rng.standard_normal(len(time)) * np.abs(np.sin(4 * np.pi * time)) ** 4
    return (0.01 * tone + 0.005 * noise).astype(np.float32)


@needs_shared
def test_the_tags_of_a_recording_are_those_that_the_package_documents(checkpoints):
    path = next(SHARED.glob(f"audio/**/{RECORDING}"))
    audio, _ = librosa.load(path, sr=SAMPLE_RATE)
    with torch.no_grad():
        likelihood = tagger(checkpoints["musicnn_mtt"])(windows_of(audio)).sigmoid().mean(0)
    assert likelihood.argsort(descending=True)[: len(DOCUMENTED)].tolist() == PLACES


@pytest.mark.parametrize("name", ["musicnn_msd", "musicnn_mtt"])
def test_logits_equal_those_of_the_package(name, checkpoints):
    expected = np.array(json.loads(GOLDEN.read_text(encoding="utf-8"))[name])
    with torch.no_grad():
        logits = tagger(checkpoints[name])(windows_of(golden_signal())).numpy()
    # the package rounds the logarithm to 16 bits too
    np.testing.assert_allclose(logits, expected, atol=0.02)


@pytest.mark.parametrize(("layer", "size"), [("pooled", 1506), ("penultimate", 200)])
def test_an_imported_encoder_gives_the_chosen_layer(layer, size, checkpoints):
    checkpoint = checkpoints["musicnn_msd"]
    encoder, options = import_encoder(checkpoint, name="musicnn", options={"layer": layer})
    audio = torch.from_numpy(golden_signal())[None]
    with torch.no_grad():
        frames = encoder(audio)
        inputs = windows_of(golden_signal())
        network = tagger(checkpoint)
        expected = network.encode(inputs) if layer == "penultimate" else network.pool_maps(inputs)
    assert options.layer == layer
    assert frames.shape == (1, size, 2)
    torch.testing.assert_close(frames[0].T, expected)


def test_a_file_without_layers_of_musicnn_is_refused(checkpoints):
    empty = replace(checkpoints["musicnn_msd"], state={"global_step": torch.zeros(1)})
    with pytest.raises(UserError, match="it holds no musicnn"):
        import_encoder(empty, name="musicnn")


def test_the_spectrogram_equals_librosa_up_to_16_bits():
    audio = golden_signal()
    mel = librosa.feature.melspectrogram(
        y=audio, sr=SAMPLE_RATE, n_fft=512, hop_length=256, n_mels=96, pad_mode="reflect"
    ).T
    spectrogram = musicnn.log_mel_spectrogram(torch.from_numpy(audio)[None])[0].numpy()
    np.testing.assert_allclose(spectrogram, np.log10(1 + 10000 * mel), atol=5e-4)


def test_loud_audio_gives_finite_frames():
    encoder = level.build(level.Options()).eval()
    loud = torch.sign(torch.sin(torch.arange(WINDOW) * 0.05))[None]
    with torch.no_grad():
        assert torch.isfinite(encoder(loud)).all()


def test_a_clip_is_encoded_window_by_window_whatever_its_batch_and_length(monkeypatch):
    monkeypatch.setattr(musicnn, "WINDOWS_AT_ONCE", 2)
    encoder = level.build(level.Options(layer="penultimate")).eval()
    audio = torch.randn(2, 3 * WINDOW + 1000, generator=torch.Generator().manual_seed(0)) * 0.1
    with torch.no_grad():
        together, alone = encoder(audio), encoder(audio[1:])
        short = encoder(audio[:, :8000])
    assert together.shape == (2, 200, 3)
    assert short.shape == (2, 200, 1)
    torch.testing.assert_close(together[1:], alone, atol=1e-4, rtol=1e-4)
    with pytest.raises(UserError, match="more than 256 samples"):
        encoder(audio[:, :256])
