from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from workflow_scripts.synthesis.encode import encode_audio


def tone(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(np.arange(int(22_050 * seconds)) * 0.1)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".mp3"])
@pytest.mark.parametrize("seconds", [0.5, 3.3])
def test_files_are_reproducible_and_contain_the_audio(suffix, seconds):
    audio = tone(seconds)
    content = encode_audio(audio, sample_rate=22_050, suffix=suffix)
    assert content == encode_audio(audio, sample_rate=22_050, suffix=suffix)
    decoded, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    assert rate == 22_050
    assert abs(len(decoded) - len(audio)) < 2 * 1152  # an MP3 frame at either end
    length = min(len(decoded), len(audio))
    correlation = np.corrcoef(decoded[:length], audio[:length])[0, 1]
    assert correlation > 0.98


@pytest.mark.slow
def test_a_long_ogg_does_not_overflow_the_stack():
    content = encode_audio(tone(400), sample_rate=22_050, suffix=".ogg")
    assert soundfile.info(io.BytesIO(content)).frames == 400 * 22_050
