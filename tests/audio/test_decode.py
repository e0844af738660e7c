import csv
import os
import struct
import tracemalloc
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audio.recordings import encode, tone, write_tone
from workflow_scripts.audio import ffmpeg
from workflow_scripts.audio.decode import MAX_SECONDS, REASONS, UnusableAudioError, decode, to_int16
from workflow_scripts.audio.decoder_pool import DecodeTask, decode_all

RATE = 16_000
BROKEN = Path(__file__).parents[3] / "shared" / "audio" / "broken"
EXPECTED = list(csv.DictReader((Path(__file__).parent / "broken_expected.csv").open(encoding="utf-8")))


@pytest.fixture(autouse=True)
def _bundled_ffmpeg(monkeypatch):
    """Use the same ffmpeg on every machine: versions differ in how much they decode of a damaged file."""
    monkeypatch.setattr(ffmpeg, "find_program", imageio_ffmpeg.get_ffmpeg_exe)


def refusal_reason(path, **options):
    with pytest.raises(UnusableAudioError) as caught:
        decode(path, sample_rate=RATE, **options)
    return caught.value.reason


# ------------------------------------------------------------------------------------------------ good files


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_gives_the_same_tone(tmp_path, rate):
    audio = decode(write_tone(tmp_path / "a.wav", 1.0, rate=rate), sample_rate=RATE)
    assert audio.dtype == np.float32
    assert audio.shape == (RATE,)
    np.testing.assert_allclose(audio[800:-800], tone(1.0)[800:-800], atol=1e-3)  # away from the ends


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3", "a.m4a", "a.wma", "a.opus", "a.mp4"])
def test_either_decoder_reads_its_formats(tmp_path, name):
    audio = decode(encode(write_tone(tmp_path / "source.wav", 2.0, rate=48_000), tmp_path / name), sample_rate=RATE)
    assert len(audio) == pytest.approx(2 * RATE, abs=0.1 * RATE)
    spectrum = np.abs(np.fft.rfft(audio[RATE // 2 : RATE // 2 + RATE]))
    assert int(spectrum.argmax()) == 440


def test_streaming_equals_resampling_the_whole_file_at_once(tmp_path):
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, (700_000, 2)).astype(np.float32)  # several blocks
    soundfile.write(tmp_path / "a.wav", noise, 44_100, subtype="FLOAT")
    expected = soxr.resample(noise.mean(axis=1), 44_100, RATE, quality="HQ")
    np.testing.assert_array_equal(decode(tmp_path / "a.wav", sample_rate=RATE), expected)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rate=st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000]), start=st.floats(0, 2.5), length=st.floats(0.1, 0.4)
)
def test_a_segment_is_on_the_sample_grid_of_the_whole_file(tmp_path, rate, start, length):
    noise = np.random.default_rng(1).uniform(-0.9, 0.9, 3 * rate).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", noise, rate, subtype="FLOAT")
    whole = decode(tmp_path / "a.wav", sample_rate=RATE)
    part = decode(tmp_path / "a.wav", sample_rate=RATE, start_seconds=start, end_seconds=start + length)
    first, last = round(start * RATE), round((start + length) * RATE)
    assert len(part) == last - first
    np.testing.assert_allclose(part, whole[first:last], atol=2e-6)


def test_max_seconds_keeps_the_start(tmp_path):
    path = write_tone(tmp_path / "a.wav", 2.0)
    whole = decode(path, sample_rate=RATE)
    np.testing.assert_array_equal(decode(path, sample_rate=RATE, max_seconds=0.5), whole[:8000])
    late = decode(path, sample_rate=RATE, start_seconds=1.0, max_seconds=0.5)
    np.testing.assert_array_equal(late, whole[16000:24000])
    assert len(decode(path, sample_rate=RATE, max_seconds=9.0)) == 2 * RATE


def test_channels_are_averaged(tmp_path):
    left, right = tone(1.0, pitch=300), tone(1.0, pitch=500)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), RATE, subtype="FLOAT")
    np.testing.assert_allclose(decode(tmp_path / "a.wav", sample_rate=RATE), (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize("name", ["-v.m4a", "file:a.m4a", "a b,ü音.m4a", "%03d.m4a"])
def test_names_that_look_like_options_or_protocols_are_read(tmp_path, name):
    source = encode(write_tone(tmp_path / "source.wav"), tmp_path / "plain.m4a")
    assert len(decode(source.rename(tmp_path / name), sample_rate=RATE)) > 0.9 * RATE


def test_a_stream_without_a_stated_length_is_read_to_its_end(tmp_path):
    source = write_tone(tmp_path / "source.wav", 3.0, rate=48_000)
    for name in ("a.flac", "a.wav"):
        encode(source, tmp_path / "pipe", "-f", name[2:])
        data = bytearray((tmp_path / "pipe").read_bytes())
        if name.endswith("flac"):
            data[21] &= 0xF0  # STREAMINFO: total samples 0 means unknown
            data[22:26] = bytes(4)
        else:
            data[data.index(b"data") + 4 : data.index(b"data") + 8] = b"\xff" * 4
        (tmp_path / name).write_bytes(data)
        assert len(decode(tmp_path / name, sample_rate=RATE)) == 3 * RATE


def test_conversion_to_int16_rounds():
    converted, factor = to_int16(np.array([0, 0.5, -1, 1, 1.4 / 32768, 1.6 / 32768], np.float32))
    assert converted.dtype == np.dtype("<i2")
    assert converted.tolist() == [0, 16384, -32768, 32767, 1, 2]
    assert factor == 1.0


def test_audio_above_full_scale_is_scaled_to_fit():
    converted, factor = to_int16(np.array([0, 0.5, -2, 1.7], np.float32))
    assert converted.tolist() == [0, 8192, -32768, 27853]
    assert factor == 0.5


# ---------------------------------------------------------------------------------------------- broken files


def write_wav(samples, path, rate=RATE):
    soundfile.write(path, np.asarray(samples, np.float32), rate, subtype="FLOAT")
    return path


def tone_with_sample(value):
    audio = tone(1.0)
    audio[7000] = value
    return audio


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(RATE), "silent"),
        (tone(1.0, level=9e-5), "silent"),
        (np.full(RATE, 0.25), "constant"),
        (np.stack([tone(1.0), -tone(1.0)], axis=1), "cancels_in_mono"),
        (tone_with_sample(np.nan), "non_finite"),
        (tone_with_sample(-np.inf), "non_finite"),
        (tone_with_sample(3e38), "over_full_scale"),
        (np.zeros(0), "empty"),
        (tone(0.024), "too_short"),
        (tone(1.0)[:1], "too_short"),
    ],
)
def test_unusable_audio_has_its_reason(tmp_path, samples, reason):
    assert refusal_reason(write_wav(samples, tmp_path / "a.wav")) == reason


def test_quiet_but_audible_clips_are_kept(tmp_path):
    assert len(decode(write_wav(tone(1.0, level=2e-4), tmp_path / "a.wav"), sample_rate=RATE)) == RATE


def test_files_without_audio_are_refused(tmp_path):
    assert refusal_reason(tmp_path / "none.wav") == "missing"
    (tmp_path / "folder.wav").mkdir()
    assert refusal_reason(tmp_path / "folder.wav") == "unreadable"
    os.mkfifo(tmp_path / "pipe.wav")
    assert refusal_reason(tmp_path / "pipe.wav") == "unreadable"
    for name, content, reason in [
        ("a.wav", b"", "empty"),
        ("a.mp3", b"<!DOCTYPE html><html><body>503</body></html>", "not_audio"),
        ("a.raw", bytes(range(256)) * 40, "undecodable"),
        ("a.m4a", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", "not_audio"),
        ("a.flac", b"ffconcat version 1.0\nfile good.wav\n", "not_audio"),
    ]:
        write_tone(tmp_path / "good.wav")
        (tmp_path / name).write_bytes(content)
        assert refusal_reason(tmp_path / name) == reason, name


def test_segments_outside_the_file_are_refused(tmp_path):
    path = write_tone(tmp_path / "a.wav", 1.0)
    assert refusal_reason(path, start_seconds=2.0) == "out_of_range"
    m4a = encode(path, tmp_path / "a.m4a")
    assert refusal_reason(m4a, start_seconds=2.0) == "out_of_range"
    assert len(decode(path, sample_rate=RATE, start_seconds=0.5, end_seconds=2.0)) == RATE // 2  # ends early, no fault


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.m4a", "a.aiff"])
def test_files_shorter_than_their_header_states_are_truncated(tmp_path, name):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 10 * RATE).astype(np.float32)
    source = write_wav(noise, tmp_path / "source.wav")
    flags = ("-movflags", "+faststart") if name == "a.m4a" else ()
    data = encode(source, tmp_path / name, *flags).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    assert refusal_reason(tmp_path / name) == "truncated"
    assert len(decode(tmp_path / name, sample_rate=RATE, max_seconds=3.0)) == 3 * RATE  # the requested part is complete


def test_a_very_long_file_needs_a_clip_length(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.tile(tone(1.0, rate=4000), int(MAX_SECONDS) + 2), 4000)
    assert refusal_reason(path) == "too_long"
    assert refusal_reason(path, end_seconds=MAX_SECONDS + 1) == "too_long"
    assert len(decode(path, sample_rate=RATE, max_seconds=30.0)) == 30 * RATE


def test_a_header_that_claims_gigabytes_costs_no_memory(tmp_path):
    data = bytearray(write_tone(tmp_path / "a.flac", 2.0).read_bytes())
    data[21] |= 0x0F  # STREAMINFO: 2^36 - 1 samples, 256 GB as float
    data[22:26] = b"\xff" * 4
    (tmp_path / "a.flac").write_bytes(data)
    tracemalloc.start()
    assert refusal_reason(tmp_path / "a.flac") == "truncated"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20


def test_implausible_sample_rates_are_refused(tmp_path):
    data = bytearray(write_tone(tmp_path / "a.wav").read_bytes())
    for rate in (1, 2_000_000_000):
        data[24:28] = struct.pack("<I", rate)
        (tmp_path / "a.wav").write_bytes(data)
        assert refusal_reason(tmp_path / "a.wav") == "bad_sample_rate"


def test_a_hanging_ffmpeg_is_stopped(tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "find_program", lambda: str(program))
    (tmp_path / "a.xyz").write_bytes(bytes(range(256)))
    assert refusal_reason(tmp_path / "a.xyz", timeout_seconds=0.3) == "timeout"


# ---------------------------------------------------------------------------------- the shared broken files


@pytest.mark.slow
@pytest.mark.skipif(not BROKEN.is_dir(), reason="the folder of broken recordings is not beside the repository")
def test_every_shared_broken_file_has_its_expected_outcome(monkeypatch):
    monkeypatch.setenv("PATH", "")  # the decoding processes use the bundled ffmpeg too
    present = {str(path.relative_to(BROKEN)) for path in BROKEN.rglob("*") if path.is_file()}
    assert present == {row["path"] for row in EXPECTED}
    tasks = [DecodeTask(path=str(BROKEN / row["path"]), sample_rate=RATE) for row in EXPECTED]
    outcomes = {}
    for row, result in zip(EXPECTED, decode_all(tasks, processes=2), strict=True):
        outcomes[row["path"]] = (
            "quarantined" if result.reason else "decoded",
            result.reason or "",
            "; ".join(result.defects),
        )
        if result.samples is not None:
            assert len(result.samples) / RATE == pytest.approx(float(row["seconds"]), abs=0.05), row["path"]
    assert outcomes == {row["path"]: (row["outcome"], row["reason"], row["defects"]) for row in EXPECTED}


# --------------------------------------------------------------------------------------------- any mutation


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    source = write_tone(folder / "a.wav", 0.5, rate=22_050)
    return [source.read_bytes()] + [
        encode(source, folder / name).read_bytes() for name in ("a.flac", "a.ogg", "a.mp3", "a.m4a", "a.aiff")
    ]


@pytest.mark.slow
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_files_are_decoded_or_refused(tmp_path, originals, data):
    content = bytearray(data.draw(st.sampled_from(originals)))
    for _ in range(data.draw(st.integers(0, 12))):  # flips, half of them in the header
        place = data.draw(st.one_of(st.integers(0, 120), st.integers(0, len(content) - 1)))
        content[place % len(content)] ^= data.draw(st.integers(1, 255))
    content = content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))]
    content = data.draw(st.sampled_from([b"", b"\0" * 50, b"ID3", b"RIFF"])) + content
    path = tmp_path / f"a.{data.draw(st.sampled_from(['wav', 'mp3', 'flac', 'raw', 'txt', 'm4a']))}"
    path.write_bytes(content)
    (result,) = decode_all([DecodeTask(path=str(path), sample_rate=RATE)], processes=1)
    if result.samples is None:
        assert result.reason in set(REASONS) - {"timeout", "crashed", "missing"}
    else:
        assert result.samples.dtype == np.dtype("<i2")
        assert len(result.samples) >= 0.025 * RATE
