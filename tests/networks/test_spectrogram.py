"""The front end is TensorFlow's: frames without padding, its inverse and its mel matrix, written out here by hand."""

from __future__ import annotations

import math

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
    matrix = spectrogram.mel_matrix().numpy()
    assert matrix.shape == (256, 128)
    mel = lambda hertz: 1127 * math.log(1 + hertz / 700)  # noqa: E731
    edges = np.linspace(mel(100), mel(7800), 130)
    for bin_ in (0, 1, 3, 4, 20, 137, 249, 255):
        here = mel(bin_ * 8000 / 255)
        for band in range(128):
            low, centre, high = edges[band : band + 3]
            rising, falling = (here - low) / (centre - low), (high - here) / (high - centre)
            expected = 0 if bin_ == 0 else max(0, min(rising, falling))
            assert abs(matrix[bin_, band] - expected) < 1e-5
    assert (matrix.max(axis=0) > 0).all()  # no band is empty
