import json

import librosa
import numpy as np
import pytest
import torch

from tests.corpora import write_corpus
from workflow_scripts import embed
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import handcrafted
from workflow_scripts.levels import registry

RATE = handcrafted.SAMPLE_RATE


def chirps(clips=2, seconds=1.5):
    generator = np.random.default_rng(0)
    audio = [librosa.chirp(fmin=200 * (k + 1), fmax=900, sr=RATE, duration=seconds) for k in range(clips)]
    return (0.3 * np.stack(audio) + 0.05 * generator.standard_normal((clips, len(audio[0])))).astype(np.float32)


def test_frames_are_librosas_features_in_order():
    audio = chirps()
    encoder = handcrafted.build(handcrafted.Options(pitch=False))
    frames = encoder(torch.from_numpy(audio)).numpy()
    assert frames.shape == (2, 418, audio.shape[1] // 160)
    assert encoder.embedding_size == 418
    named = {"sr": RATE, "hop_length": 160}
    for clip, features in zip(audio, frames, strict=True):
        expected = np.concatenate(
            [
                librosa.feature.mfcc(y=clip, n_fft=2048, **named),
                librosa.feature.chroma_stft(y=clip, n_fft=2048, **named),
                librosa.feature.tempogram(y=clip, **named),
                librosa.feature.zero_crossing_rate(clip, hop_length=160),
                librosa.feature.rms(y=clip, hop_length=160),
            ]
        )[:, : features.shape[1]]
        np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-3)


def test_the_pool_is_mean_and_deviation_over_time():
    encoder = handcrafted.build(handcrafted.Options(pitch=False))
    frames = torch.randn(3, 418, 50)
    pooled = encoder.pool(frames)
    assert pooled.shape == (3, encoder.pooled_size)
    np.testing.assert_allclose(pooled[:, :418], frames.numpy().mean(-1), atol=1e-5)
    np.testing.assert_allclose(pooled[:, 418:], frames.numpy().std(-1), atol=1e-5)


@pytest.mark.slow
def test_pitch_is_an_option():
    encoder = handcrafted.build(handcrafted.Options())
    audio = torch.from_numpy(librosa.tone(220.0, sr=RATE, duration=0.5).astype(np.float32))[None]
    frames = encoder(audio)
    assert frames.shape[1] == encoder.embedding_size == 420
    assert frames[0, 419, 10:40].exp().median().item() == pytest.approx(220, rel=0.02)
    torch.testing.assert_close(frames[:, :418], handcrafted.build(handcrafted.Options(pitch=False))(audio))


@pytest.mark.parametrize("samples", [160, 800, 16000])
@pytest.mark.parametrize("value", [0.0, 1.0, float("nan")])
def test_silence_constants_and_broken_samples_give_finite_embeddings(samples, value):
    encoder = handcrafted.build(handcrafted.Options())
    frames = encoder(torch.full((2, samples), value))
    assert frames.shape[-1] == samples // 160
    assert torch.isfinite(encoder.pool(frames)).all()


def test_embedding_a_corpus_gives_each_clip_what_it_has_alone(tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=4, seconds=[0.5, 0.7, 0.5, 0.7])
    config = {"encoder": {"name": "handcrafted", "options": {}}, "seed": 0, "dataset": "tones"}
    flags = ["--config", json.dumps(config), "--code", "c0de", "--corpus", str(corpus.folder)]
    embed.main([*flags, "--output", str(tmp_path / "tones.npy")])
    embeddings = np.load(tmp_path / "tones.npy")
    encoder = handcrafted.build(handcrafted.Options())
    for row in range(4):
        alone = encoder.pool(encoder(torch.from_numpy(corpus.cut(row))[None]))[0]
        np.testing.assert_allclose(embeddings[row], alone, rtol=1e-4, atol=1e-4)


def test_states_what_planning_reads():
    assert handcrafted.TRAINABLE is False
    assert handcrafted.sample_rate(handcrafted.Options()) == 16000
    assert not list(handcrafted.build(handcrafted.Options()).parameters())
    with pytest.raises(UserError, match=r"unknown key 'pich' .*; allowed: pitch"):
        registry.options(handcrafted, {"pich": True})
