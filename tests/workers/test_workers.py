"""Workers: losses on the encoder's frames, target statistics and starting biases."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import pase
from workflow_scripts.features import official, spectral
from workflow_scripts.levels import registry
from workflow_scripts.networks.decoder import MirroredDecoder, WaveformDecoder
from workflow_scripts.networks.interfaces import Batch
from workflow_scripts.networks.regression_head import RegressionHead, stack_neighbours
from workflow_scripts.workers import chroma, lps, mfcc, prosody, waveform
from workflow_scripts.workers._feature_regression import FeatureWorker

WORKERS = {"waveform": 1, "lps": 1025, "prosody": 4, "mfcc": 20, "chroma": 12, "tempogram": 384}
FEATURES = [name for name in WORKERS if name != "waveform"]
DEFINED = ["lps", "mfcc", "prosody"]  # also by the PASE code


def batch_of_noise(*, clips: int = 2, samples: int = 4800, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    audio = 0.1 * torch.randn(clips, samples, generator=generator)
    stored = 50 + 10 * torch.randn(clips, 4, 1 + samples // 160, generator=generator)
    return Batch(clean=audio, audio=audio, precomputed={"prosody": stored})


def build(name: str, **options: object):
    level = registry.load("worker", name)
    return level.build(registry.options(level, options), embedding_size=8)


@pytest.mark.parametrize("name", WORKERS)
def test_every_worker_learns_from_a_batch(name):
    worker, batch = build(name), batch_of_noise()
    frames = torch.randn(2, 8, 30, requires_grad=True)
    loss = worker.loss(frames, batch)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    loss.backward()
    assert frames.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in worker.parameters())


@pytest.mark.parametrize("name", FEATURES)
def test_feature_loss_is_the_mean_squared_error_on_the_encoders_frames(name):
    worker, batch = build(name), batch_of_noise()
    target = worker.target(batch)
    assert target.shape == (2, WORKERS[name], 31)
    frames = torch.randn(2, 8, 30)
    expected = (worker.head(frames) - target[..., :30]).square().mean()
    torch.testing.assert_close(worker.loss(frames, batch), expected)


@pytest.mark.parametrize("decoder", ["official", "mirrored"])
@pytest.mark.parametrize("samples", [4800, 4801, 4790])
def test_waveform_loss_is_the_mean_absolute_error(samples, decoder):
    worker, batch = build("waveform", width=0.05, decoder=decoder), batch_of_noise(samples=samples)
    frames = torch.randn(2, 8, 30)
    rebuilt = worker.decoder(frames)[:, 0]
    common = min(samples, 4800)
    expected = (rebuilt[:, :common] - batch.clean[:, :common]).abs().mean()
    torch.testing.assert_close(worker.loss(frames, batch), expected)


@pytest.mark.parametrize(("options", "kind"), [({}, MirroredDecoder), ({"decoder": "official"}, WaveformDecoder)])
def test_the_waveform_worker_has_the_decoder_that_was_chosen(options, kind):
    assert type(build("waveform", width=0.05, **options).decoder) is kind


@pytest.mark.slow
def test_a_mirrored_decoder_learns_a_tone():
    torch.manual_seed(0)
    encoder = pase.build(pase.Options(embedding=8, width=0.1))
    worker = build("waveform", width=0.1, decoder="mirrored")
    audio = 0.3 * torch.sin(2 * torch.pi * 220 * torch.arange(3200) / 16000).expand(2, -1)
    batch = Batch(clean=audio, audio=audio)
    optimiser = torch.optim.Adam([*encoder.parameters(), *worker.parameters()], lr=0.003)
    losses = []
    for _ in range(150):
        optimiser.zero_grad()
        loss = worker.loss(encoder(audio), batch)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert min(losses[-10:]) < 0.5 * losses[0]


def test_targets_are_of_the_audio_as_recorded():
    worker, batch = build("lps"), batch_of_noise()
    changed = Batch(clean=batch.clean, audio=torch.zeros_like(batch.audio))
    frames = torch.randn(2, 8, 30)
    torch.testing.assert_close(worker.loss(frames, changed), worker.loss(frames, batch))


@pytest.mark.parametrize("name", FEATURES)
def test_normalised_targets_have_mean_zero_and_deviation_one(name):
    batches = [batch_of_noise(seed=seed) for seed in range(3)]
    worker = build(name, targets="normalised")
    worker.calibrate(batches)
    targets = torch.cat([worker.target(batch) for batch in batches])
    assert torch.isfinite(targets).all()
    assert targets.mean((0, 2)).abs().max() < 1e-3
    deviation = targets.std((0, 2), correction=0)
    varies = deviation > 0.01
    torch.testing.assert_close(deviation[varies], torch.ones(int(varies.sum())), rtol=1e-3, atol=0)
    assert varies.sum() >= WORKERS[name] - 1, "only the tempogram's lag 0 is constant"


def test_a_constant_channel_is_not_blown_up():
    stored = torch.full((2, 4, 31), 3.0) + 1e-6 * torch.rand(2, 4, 31)
    worker = build("prosody", targets="normalised")
    audio = torch.zeros(2, 4800)
    batch = Batch(clean=audio, audio=audio, precomputed={"prosody": stored})
    worker.calibrate([batch])
    assert worker.target(batch).abs().max() < 1e-5


def test_calibration_leaves_raw_targets_alone():
    worker, batch = build("lps"), batch_of_noise()
    before = {key: value.clone() for key, value in worker.state_dict().items()}
    worker.calibrate([batch])
    torch.testing.assert_close(worker.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("neighbours", [1, 3])
def test_start_at_mean_sets_the_last_bias_and_not_the_target(neighbours):
    batch = batch_of_noise()
    worker = build("lps", start_at_mean=True, neighbours=neighbours)
    before = worker.target(batch)
    worker.calibrate([batch])
    torch.testing.assert_close(worker.target(batch), before, rtol=0, atol=0)
    bias = worker.head.W.bias.detach().reshape(1025, neighbours)
    torch.testing.assert_close(bias, before.mean((0, 2))[:, None].expand_as(bias), rtol=1e-4, atol=1e-3)


def test_calibrated_statistics_are_part_of_the_state():
    worker, copy, batch = build("lps", targets="normalised"), build("lps", targets="normalised"), batch_of_noise()
    worker.calibrate([batch])
    copy.load_state_dict(worker.state_dict())
    torch.testing.assert_close(copy.target(batch), worker.target(batch), rtol=0, atol=0)


@settings(deadline=None, max_examples=25)
@given(
    channels=st.integers(1, 4),
    frames=st.integers(1, 12),
    neighbours=st.sampled_from([1, 3, 7]),
    clips=st.integers(1, 3),
)
def test_neighbours_are_stacked_channel_by_channel_with_zeros_beyond_the_edges(channels, frames, neighbours, clips):
    target = torch.randn(clips, channels, frames)
    stacked = stack_neighbours(target, neighbours)
    assert stacked.shape == (clips, channels * neighbours, frames)
    for channel in range(channels):
        for place in range(neighbours):
            shift = place - neighbours // 2
            for frame in range(frames):
                inside = 0 <= frame + shift < frames
                expected = target[:, channel, frame + shift] if inside else torch.zeros(clips)
                assert torch.equal(stacked[:, channel * neighbours + place, frame], expected)


def test_seven_neighbours_give_seven_times_the_outputs_and_the_loss_on_all():
    worker, batch = build("mfcc", neighbours=7), batch_of_noise()
    frames = torch.randn(2, 8, 30)
    target = stack_neighbours(worker.target(batch)[..., :30], 7)
    assert worker.head(frames).shape == (2, 140, 30)
    torch.testing.assert_close(worker.loss(frames, batch), functional.mse_loss(worker.head(frames), target))


def test_context_and_several_hidden_layers_keep_the_frames():
    head = RegressionHead(inputs=8, outputs=5, hidden=6, hidden_layers=2, context=3)
    assert head(torch.randn(2, 8, 11)).shape == (2, 5, 11)
    assert [key for key in head.state_dict() if key.endswith("W.weight")] == [
        "blocks.0.W.weight",
        "blocks.1.W.weight",
        "W.weight",
    ]
    assert [tuple(head.state_dict()[key].shape) for key in ("blocks.0.W.weight", "W.weight")] == [(6, 8, 3), (5, 6, 1)]


def test_targets_stay_float32_under_autocast():
    worker, batch, again = build("lps"), batch_of_noise(), batch_of_noise()
    frames = torch.randn(2, 8, 30)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = worker.loss(frames, batch)
        torch.testing.assert_close(worker.target(batch), worker.target(again), rtol=0, atol=0)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, worker.loss(frames, batch), rtol=0.01, atol=0)


def test_power_is_computed_once_for_all_workers():
    calls = []

    def power(audio):
        calls.append(audio)
        return audio

    batch = batch_of_noise()
    assert batch.compute_once(power) is batch.compute_once(power)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("level", "bad"),
    [
        (chroma, {"targets": "whitened"}),
        (chroma, {"neighbours": 2}),
        (chroma, {"hidden": 0}),
        (waveform, {"width": 0}),
        (waveform, {"decoder": "reversed"}),
        (lps, {"definition": "librosa"}),
        (mfcc, {"deltas": 3}),
        (mfcc, {"deltas": -1}),
        (prosody, {"pitch": "mel"}),
        (prosody, {"pitch": "hertz", "definition": "official"}),
        (prosody, {"lowest_hz": 500.0, "highest_hz": 100.0}),
        (prosody, {"lowest_hz": 500.0, "definition": "official"}),
    ],
)
def test_impossible_options_are_refused(level, bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        registry.options(level, bad)


@pytest.mark.parametrize(("pitch", "expected"), [("log", np.log(220)), ("hertz", 220)])
def test_extracted_prosody_has_a_row_per_channel_and_a_frame_per_hop(pitch, expected):
    time = np.arange(8000) / 16000
    features = prosody.extract((0.5 * np.sin(2 * np.pi * 220 * time)).astype(np.float32), prosody.Options(pitch=pitch))
    assert np.median(features[3]) == pytest.approx(expected, rel=0.01)
    assert features.shape == (prosody.CHANNELS, 51)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_a_target_with_fewer_frames_than_the_encoder_is_a_programming_error():
    worker = FeatureWorker(
        channels=1, target=lambda batch: torch.zeros(2, 1, 5), options=lps.Options(), embedding_size=8
    )
    with pytest.raises(AssertionError, match="a frame for each"):
        worker.loss(torch.randn(2, 8, 30), batch_of_noise())


@pytest.mark.parametrize("definition", ["paper", "official"])
@pytest.mark.parametrize("deltas", [0, 1, 2])
@pytest.mark.parametrize("name", DEFINED)
def test_deltas_are_more_outputs_of_the_head(name, deltas, definition):
    worker, batch = build(name, deltas=deltas, definition=definition), batch_of_noise()
    outputs = WORKERS[name] * (1 + deltas)
    target = worker.target(batch)
    assert target.shape == (2, outputs, 31)
    alone = build(name, definition=definition).target(batch)
    torch.testing.assert_close(target[:, : WORKERS[name]], alone, rtol=0, atol=0)
    for order in range(1, deltas + 1):
        expected = librosa.feature.delta(alone.numpy(), order=order)
        features = target[:, WORKERS[name] * order : WORKERS[name] * (order + 1)]
        torch.testing.assert_close(features, torch.from_numpy(expected), rtol=1e-4, atol=1e-4)
    frames = torch.randn(2, 8, 30)
    assert worker.head(frames).shape == (2, outputs, 30)
    torch.testing.assert_close(worker.loss(frames, batch), functional.mse_loss(worker.head(frames), target[..., :30]))


def test_each_definition_has_its_own_spectra():
    batch = batch_of_noise()
    expected = {
        ("lps", "paper"): spectral.log_power_spectrum(batch.clean),
        ("lps", "official"): official.log_power_spectrum(batch.clean),
        ("mfcc", "paper"): spectral.mfcc(batch.clean, sample_rate=16000),
        ("mfcc", "official"): official.mfcc(batch.clean, sample_rate=16000),
    }
    for (name, definition), target in expected.items():
        features = build(name, definition=definition).target(batch)
        torch.testing.assert_close(features, target, rtol=0, atol=0)
    assert torch.equal(build("lps").target(batch), expected["lps", "paper"])
    assert torch.equal(build("mfcc").target(batch), expected["mfcc", "paper"])


def test_official_prosody_has_its_own_channels_and_looks_for_speech():
    time = np.arange(8000) / 16000
    audio = sum(0.3 * np.sin(2 * np.pi * 200 * harmonic * time) for harmonic in (1, 2)).astype(np.float32)
    options = prosody.Options(definition="official")
    assert options.range_hz == (60.0, 300.0)
    features = prosody.extract(audio, options)
    assert features.shape == (prosody.CHANNELS, 51)
    np.testing.assert_allclose(np.median(features[0]), np.log(200), rtol=0.01)
    assert set(np.unique(features[1])) <= {0, 1}
    assert np.median(features[1]) == 1
    theirs = prosody.extract(audio, prosody.Options(definition="official", highest_hz=150.0))
    assert theirs[0].max() < np.log(151)


def test_without_a_range_the_papers_prosody_looks_from_c2_to_c7():
    lowest, highest = prosody.Options().range_hz
    assert (lowest, highest) == pytest.approx((librosa.note_to_hz("C2"), librosa.note_to_hz("C7")))
    assert prosody.Options(highest_hz=500.0).range_hz == (lowest, 500.0)


@pytest.mark.parametrize("name", DEFINED)
def test_a_cut_too_short_for_deltas_is_refused(name):
    batch = batch_of_noise(samples=1000)
    with pytest.raises(UserError, match="at least 9 frames"):
        build(name, deltas=1).target(batch)
