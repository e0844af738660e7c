"""The front end is TensorFlow's: frames without padding, its inverse and its mel matrix, written out here by hand."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scripts.networks import spectrogram
from workflow_scripts.networks.sizes.spectrogram import frame_count, sample_count


@settings(deadline=None, max_examples=25)
@given(frames=st.integers(1, 40), extra=st.integers(0, 159), seed=st.integers(0, 99))
def test_what_all_windows_cover_comes_back(frames, extra, seed):
    length = sample_count(frames)
    audio = torch.randn(2, length + extra, generator=torch.Generator().manual_seed(seed))
    assert frame_count(length + extra) == frames
    back = spectrogram.invert_stft(spectrogram.compute_stft(audio))
    assert back.shape == (2, length)
    inside = slice(352, length - 352)
    torch.testing.assert_close(back[:, inside], audio[:, :length][:, inside], atol=1e-5, rtol=1e-5)


def test_less_than_a_window_has_no_frame():
    assert [frame_count(samples) for samples in (0, 100, 511, 512, 671, 672)] == [0, 0, 0, 1, 1, 2]


def test_a_mask_scales_all_bins_but_the_highest():
    spectrum = spectrogram.compute_stft(torch.randn(1, 2000))
    masks = torch.stack([torch.zeros(spectrum.shape[1], 256), torch.full((spectrum.shape[1], 256), 0.5)])[None]
    masked = spectrogram.apply_masks(spectrum, masks)
    assert masked.shape == (1, 2, spectrum.shape[1], 257)
    assert not masked[0, 0, :, :-1].abs().any()
    torch.testing.assert_close(masked[0, 1, :, :-1], 0.5 * spectrum[0, :, :-1])
    torch.testing.assert_close(masked[:, :, :, -1], spectrum[:, None, :, -1].expand(1, 2, -1))


def test_the_mel_matrix_is_made_of_triangles_on_the_mel_scale():
    """But for rounding: one unit of a mel value in float32 is 1.2e-5 of the distance of two edges."""
    hertz = np.linspace(0, 8000, 256)
    bins, edges = (1127 * np.log1p(hertz / 700))[:, None], 1127 * np.log1p(np.array([100, 7800]) / 700)
    edges = np.linspace(*edges, 130)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    expected = np.maximum(0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    np.testing.assert_allclose(spectrogram.mel_matrix(), expected, rtol=0, atol=2.5e-5)
    assert (expected.max(axis=0) > 0).all()  # no band is empty


#: of tf.signal.linear_to_mel_weight_matrix(128, 256, 16000, 100, 7800), TensorFlow 2.15.1 and 2.21.0 on x86: SHA-256 of
#: all values, and single ones in which arithmetic in float64 differs by more than 1e-5 or float32's logarithms do
TENSORFLOW_DIGEST = "313facde4bf4317a040e2c5e2a2abf8954c12d5beb08a46103988f759c81d981"
TENSORFLOW_VALUES = {
    (221, 122): 0.870327652,
    (221, 123): 0.129672334,
    (176, 110): 0.0334649868,
    (155, 105): 0.856609046,
    (211, 120): 0.838776827,
    (46, 53): 0.790595531,
}


def test_the_mel_matrix_is_tensorflows_to_the_last_bit():
    matrix = spectrogram.mel_matrix()
    assert matrix.dtype == torch.float32
    for place, value in TENSORFLOW_VALUES.items():
        assert float(matrix[place]) == np.float32(value), place
    assert hashlib.sha256(matrix.numpy().tobytes()).hexdigest() == TENSORFLOW_DIGEST
