"""Every file is decoded whole, listed with its defect, or refused; never cut or changed in silence."""

import struct
from pathlib import Path
from typing import Any, Literal

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile

from tests.audio.damage import add_id3, blank, flip_bit, make_ape_tag, make_id3v1_tag
from tests.audio.recordings import encode
from tests.checkout import SHARED, needs_shared
from workflow_scripts.audio import ffmpeg
from workflow_scripts.audio.decode import UnusableAudioError, decode, decode_clip

RATE = 16_000
SECONDS = 6
NO_HEADER = ("-write_xing", "0")
#: options of the encoder by name of the file
MP3 = {
    "cbr.mp3": ("-b:a", "128k"),
    "cbr_without_header.mp3": ("-b:a", "128k", *NO_HEADER),
    "vbr.mp3": ("-q:a", "4"),
    "vbr_without_header.mp3": ("-q:a", "4", *NO_HEADER),
    "mpeg2.mp3": ("-q:a", "5", "-ar", "22050", *NO_HEADER),
    "layer2.mp2": (),
}
OGG = {"vorbis.ogg": ("-c:a", "libvorbis"), "opus.opus": (), "flac.oga": ("-c:a", "flac", "-f", "ogg")}
CHECKED = {**OGG, "flac.flac": ()}
CONTAINERS = [
    "mp3_in.wav",
    "pcm.wav",
    "pcm.aiff",
    "pcm.au",
    "pcm.w64",
    "pcm_64.wav",
    "pcm.caf",
    "faststart.m4a",
    "asf.wma",
]
ID3_SIZE = range(6, 10)  # bytes of the header of a tag, seven bits each
OTHERS = {"faststart.m4a": ("-movflags", "+faststart"), "adts.aac": (), "asf.wma": (), "wavpack.wv": ()}


@pytest.fixture(autouse=True)
def _bundled_ffmpeg(monkeypatch):
    monkeypatch.setattr(ffmpeg, "find_program", imageio_ffmpeg.get_ffmpeg_exe)


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """Encoded contents of files by name: noise that grows louder, so that a part is not like another."""
    folder = tmp_path_factory.mktemp("contents")
    time = np.arange(SECONDS * 44_100) / 44_100
    chirp = np.sin(2 * np.pi * (200 + 300 * time) * time) * (0.2 + 0.1 * time)
    noise = np.random.default_rng(0).normal(0, 0.02, len(time))
    soundfile.write(folder / "source.wav", chirp + noise, 44_100)
    names = {**MP3, **CHECKED, **OTHERS, "pcm.wav": (), "pcm.aiff": (), "pcm.au": (), "pcm.w64": (), "pcm.caf": ()}
    names["opus.webm"] = ("-c:a", "libopus")
    names["mp3_in.wav"] = ("-c:a", "libmp3lame", "-q:a", "4")
    names["live.mka"] = ("-c:a", "libvorbis", "-live", "1")
    names["pcm_64.wav"] = ("-rf64", "always")
    files = {
        name: encode(folder / "source.wav", folder / name, *options).read_bytes() for name, options in names.items()
    }
    # as written where the length is not known yet
    wav, caf = files["pcm.wav"], files["pcm.caf"]
    at = wav.index(b"data") + 4
    files["live.wav"] = wav[:4] + b"\xff" * 4 + wav[8:at] + b"\xff" * 4 + wav[at + 4 :]
    at = caf.index(b"data") + 4
    files["live.caf"] = caf[:at] + b"\xff" * 8 + caf[at + 8 :]
    return files


@pytest.fixture
def decode_content(tmp_path):
    """Return a function that decodes the bytes of a file of that name: (seconds, defects), or the reason against it."""

    def decode_bytes(name: str, content: bytes, **options: Any) -> tuple[float, tuple[str, ...]] | str:
        path = Path(tmp_path / name)
        path.write_bytes(content)
        try:
            clip = decode_clip(path, sample_rate=RATE, **options)
        except UnusableAudioError as error:
            return error.reason
        return len(clip.audio) / RATE, clip.defects

    return decode_bytes


def is_whole(outcome, seconds=SECONDS):
    return not isinstance(outcome, str) and outcome == (pytest.approx(seconds, abs=0.1), ())


# ------------------------------------------------------------------------------------------------------ MPEG


@pytest.mark.parametrize("name", MP3)
@pytest.mark.parametrize(
    "change",
    [
        lambda data: data,
        add_id3,
        lambda data: data + make_id3v1_tag(),
        lambda data: data + make_ape_tag(),
        lambda data: make_ape_tag() + data,
        lambda data: add_id3(data) + make_ape_tag() + make_id3v1_tag(),
    ],
    ids=["plain", "id3v2", "id3v1", "ape", "ape in front", "all tags"],
)
def test_an_mp3_is_whole_whatever_its_header_states_and_its_tags_are(contents, decode_content, name, change):
    assert is_whole(decode_content(name, change(contents[name])))


@pytest.mark.parametrize("name", ["vbr.mp3", "cbr_without_header.mp3", "joined.mp3", *CHECKED, "adts.aac"])
def test_no_changed_bit_of_a_size_of_a_tag_hides_audio(contents, decode_content, name):
    """The size of an ID3v2 tag is 28 bits; the larger ones lead into the audio or behind its end."""
    tag, audio = add_id3(b"", content=2000), contents.get(name, b"")
    data = tag + audio if audio else contents["vbr.mp3"] + tag + contents["vbr.mp3"]
    first = data.index(tag) + ID3_SIZE.start
    for bit in range(len(ID3_SIZE) * 8):
        changed = bytearray(data)
        changed[first + bit // 8] ^= 1 << bit % 8
        outcome = decode_content(name, bytes(changed))
        assert is_whole(outcome, SECONDS * (1 if audio else 2)) or isinstance(outcome, str) or outcome[1], (
            bit,
            outcome,
        )


@needs_shared
@pytest.mark.parametrize("folder", ["unlabelled/openmic", "unlabelled/vocadito", "labelled/style_loops/samba"])
def test_real_recordings_are_whole_as_mp3_files_of_no_stated_length(tmp_path, folder):
    source = sorted(path for path in (SHARED / "audio" / folder).iterdir() if path.is_file())[0]
    encode(source, tmp_path / "source.wav", "-t", "20")
    clip = decode_clip(encode(tmp_path / "source.wav", tmp_path / "a.mp3", "-q:a", "4", *NO_HEADER), sample_rate=RATE)
    assert len(clip.audio) / RATE == pytest.approx(soundfile.info(tmp_path / "source.wav").duration, abs=0.1)
    assert clip.defects == ()


@pytest.mark.parametrize("name", MP3)
def test_joined_mp3_files_are_read_to_the_end_of_the_last(contents, decode_content, name):
    seconds, _ = decode_content(name, contents[name] * 3)
    assert seconds == pytest.approx(3 * SECONDS, abs=0.3)


@pytest.mark.parametrize("stated", [3, 30])  # frames, of about 230
def test_a_wrong_number_of_frames_in_a_header_neither_cuts_an_mp3_nor_passes(contents, decode_content, stated):
    data = bytearray(contents["vbr.mp3"])
    at = data.index(b"Xing") + 8
    data[at : at + 4] = stated.to_bytes(4, "big")
    seconds, _ = decode_content("a.mp3", bytes(data))
    assert seconds == pytest.approx(SECONDS, abs=0.1)
    data[at : at + 4] = (100_000).to_bytes(4, "big")
    assert decode_content("a.mp3", bytes(data)) == "truncated"


@pytest.mark.parametrize("name", MP3)
def test_a_cut_or_damaged_mp3_is_listed_or_refused(contents, decode_content, name):
    data = contents[name]
    start, half, end = data[: len(data) // 3], data[: len(data) // 2 + 9], data[: -len(data) // 20]
    noise = np.random.default_rng(1).integers(0, 255, len(start), np.uint8).tobytes()  # no byte begins a frame
    lost = (bytes(len(start)) + data[len(start) :], noise + data[len(start) :])
    for damaged in (half, end, blank(data, 0.5), data + b"\xff\x00" * 2500, *lost):
        outcome = decode_content(name, damaged)
        assert outcome == "truncated" or set(outcome[1]) & {"incomplete", "stray_bytes"}, outcome
    assert is_whole(decode_content(name, data[: len(data) // 2 + 9], max_seconds=2.0), 2.0)  # the part is complete


@pytest.mark.parametrize("name", ["cbr.mp3", "vbr.mp3"])
def test_changed_bits_of_an_mp3_with_a_checksum_are_listed(contents, decode_content, name):
    for place in (0.3, 0.5, 0.7, 0.93):
        _, defects = decode_content(name, flip_bit(contents[name], place))
        assert defects, place


# ------------------------------------------------------------------------------------- Ogg and FLAC: checksums


@pytest.mark.parametrize("name", CHECKED)
def test_no_changed_bit_of_ogg_and_flac_passes(contents, decode_content, name):
    data = contents[name]
    assert is_whole(decode_content(name, data))
    for place in (0.3, 0.5, 0.7, 0.93):
        for damaged in (flip_bit(data, place), blank(data, place)):
            assert decode_content(name, damaged) in ("damaged", "truncated")  # truncated: the last page is lost
    assert is_whole(decode_content(name, flip_bit(data, 0.93), max_seconds=2.0), 2.0)


@pytest.mark.parametrize("name", CHECKED)
def test_a_part_of_an_ogg_or_flac_file_is_truncated(contents, decode_content, name):
    for share in (0.37, 0.5, 0.9, 0.99):
        data = contents[name]
        assert decode_content(name, data[: int(share * len(data))]) in ("truncated", "damaged")
        assert is_whole(decode_content(name, data[: int(0.9 * len(data))], max_seconds=2.0), 2.0)


@pytest.mark.parametrize("name", CHECKED)
def test_tags_and_other_bytes_behind_ogg_and_flac_are_no_damage(contents, decode_content, name):
    for tail in (make_id3v1_tag(), make_ape_tag(), bytes(5000)):
        assert is_whole(decode_content(name, contents[name] + tail))


@pytest.mark.parametrize("name", CHECKED)
def test_lost_pages_and_frames_are_damage(contents, decode_content, name):
    data = contents[name]
    assert decode_content(name, data[: len(data) // 3] + data[len(data) // 2 :]) in ("damaged", "truncated")


@pytest.mark.parametrize("name", CHECKED)
def test_chained_ogg_and_joined_flac_files_are_read_to_the_end_of_the_last(contents, decode_content, name):
    assert is_whole(decode_content(name, contents[name] * 3), 3 * SECONDS)


def test_a_flac_header_that_states_fewer_samples_cuts_nothing_in_silence(contents, decode_content):
    data = bytearray(contents["flac.flac"])
    data[22:26] = (50_000).to_bytes(4, "big")  # STREAMINFO: total samples
    assert decode_content("a.flac", bytes(data)) == "damaged"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vorbis.ogg", ("-c:a", "libvorbis", "-ar", "22050")),
        ("vorbis.ogg", ("-c:a", "libvorbis", "-ac", "2")),
        ("vorbis.ogg", ("-c:a", "libopus")),
        ("opus.opus", ("-c:a", "libopus", "-ac", "2")),
        ("flac.oga", ("-c:a", "libvorbis")),
    ],
)
def test_an_ogg_stream_is_whole_though_one_of_another_kind_follows(contents, decode_content, tmp_path, name, options):
    source = tmp_path / "source.wav"
    source.write_bytes(contents["pcm.wav"])
    second = encode(source, tmp_path / "second.ogg", *options).read_bytes()
    data = contents[name] + second
    assert decode_content(name, data) == (pytest.approx(SECONDS, abs=0.1), ("joined",))
    assert is_whole(decode_content(name, data, start_seconds=1.0, end_seconds=3.0), 2.0)


def test_a_longer_ogg_stream_beside_the_first_is_listed(contents, decode_content, tmp_path):
    source = tmp_path / "source.wav"
    source.write_bytes(contents["pcm.wav"])
    short = ("-f", "lavfi", "-i", "sine=r=44100:d=2")
    for maps, outcome in (((1, 0), (2, ("joined",))), ((0, 1), (SECONDS, ()))):
        order = [option for number in maps for option in ("-map", f"{number}:a")]
        data = encode(source, tmp_path / "two.ogg", *short, *order, "-c:a", "libvorbis").read_bytes()
        assert decode_content("two.ogg", data) == (pytest.approx(outcome[0], abs=0.1), outcome[1])


# ------------------------------------------------------------------------------------------------------ others


@pytest.mark.parametrize("name", ["pcm.wav", "pcm_64.wav", "pcm.w64"])
def test_no_changed_bit_of_the_format_of_a_wav_passes(contents, decode_content, name):
    data = contents[name]
    first = data.index(b"fmt ") + (24 if name == "pcm.w64" else 8)
    for bit in range(16 * 8):
        changed = bytearray(data)
        changed[first + bit // 8] ^= 1 << bit % 8
        outcome = decode_content(name, bytes(changed))
        assert isinstance(outcome, str) or outcome[1], (bit, outcome)


@pytest.mark.parametrize(("name", "place"), [("pcm.aiff", (b"COMM", 9, 10)), ("pcm.caf", (b"desc", 39, 40))])
def test_changed_channels_and_bits_of_other_formats_are_listed(contents, decode_content, name, place):
    """Four bits of the channels: with more, decoding takes long."""
    chunk, first, last = place
    data = contents[name]
    for bit in range(4 * (last - first)):
        changed = bytearray(data)
        changed[data.index(chunk) + first + bit // 8] ^= 1 << bit % 8
        outcome = decode_content(name, bytes(changed))
        assert isinstance(outcome, str) or outcome[1], (bit, outcome)


def test_a_stated_length_that_is_too_short_hides_no_sound(contents, decode_content):
    data = bytearray(contents["opus.webm"])
    at = data.index(b"\x44\x89\x88") + 3  # seconds of the file in thousandths, a float
    data[at : at + 8] = struct.pack(">d", 1000.0)
    assert is_whole(decode_content("a.webm", bytes(data)))
    assert is_whole(decode_content("a.webm", bytes(data), start_seconds=2.0, end_seconds=4.0), 2.0)
    assert decode_content("a.webm", bytes(data), start_seconds=7.0) == "out_of_range"


@pytest.mark.parametrize(
    "options", [("-c:a", "pcm_s24le"), ("-c:a", "pcm_f32le"), ("-c:a", "pcm_u8"), ("-c:a", "pcm_mulaw"), ("-ac", "6")]
)
def test_the_format_of_every_kind_of_wav_is_consistent(contents, decode_content, tmp_path, options):
    source = tmp_path / "source.wav"
    source.write_bytes(contents["pcm.wav"])
    data = encode(source, tmp_path / "made.wav", *options).read_bytes()
    assert is_whole(decode_content("a.wav", data))


def test_a_w64_written_to_a_pipe_is_whole(contents, decode_content):
    data = bytearray(contents["pcm.w64"])
    at = data.index(b"data") + 16
    data[16:24] = b"\xff" * 8
    data[at : at + 8] = b"\xff" * 7 + b"\x7f"
    assert is_whole(decode_content("a.w64", bytes(data)))


@pytest.mark.parametrize("name", CONTAINERS)
def test_lengths_that_headers_state_exactly_are_compared(contents, decode_content, name):
    data = contents[name]
    assert is_whole(decode_content(name, data))
    assert decode_content(name, data[: len(data) // 2]) == "truncated"
    seconds, defects = decode_content(name, data[: int(0.95 * len(data))])
    assert seconds == pytest.approx(0.95 * SECONDS, abs=0.1)
    assert "incomplete" in defects


def add_chunks(data: bytes, chunks: list[tuple[bytes, bytes]], *, audio: bytes) -> bytes:
    """Put chunks before that of the audio of a wav or AIFF file."""
    order: Literal["little", "big"] = "little" if data.startswith(b"RIFF") else "big"
    at = data.index(audio)
    padded = [(name, content + b" " * (len(content) % 2)) for name, content in chunks]
    added = b"".join(name + len(content).to_bytes(4, order) + content for name, content in padded)
    size = int.from_bytes(data[4:8], order) + len(added)
    return data[:4] + size.to_bytes(4, order) + data[8:at] + added + data[at:]


def make_comment(name: str, text: bytes) -> tuple[bytes, bytes]:
    """Make the chunk of a comment, which libsndfile copies into its log."""
    if name == "pcm.aiff":
        return b"ANNO", text
    return b"LIST", b"INFOICMT" + len(text).to_bytes(4, "little") + text


#: the second is how libsndfile reports a size that is wrong
COMMENTS = {
    "long": b"text " * 600,
    "like a report": b"z\ndata : 999999 (should be 10)\nSSND : 999999 (should be 10)\n ",
}


@pytest.mark.parametrize("comment", [*COMMENTS, "400 chunks"])
@pytest.mark.parametrize(("name", "audio"), [("pcm.wav", b"data"), ("pcm.aiff", b"SSND")])
def test_chunks_before_the_audio_neither_hide_nor_feign_a_loss(contents, decode_content, name, audio, comment):
    chunks = [make_comment(name, COMMENTS[comment])] if comment in COMMENTS else [(b"junk", b"1234")] * 400
    data = add_chunks(contents[name], chunks, audio=audio)
    assert is_whole(decode_content(name, data))
    assert decode_content(name, data[: len(data) // 2]) == "truncated"


@pytest.mark.parametrize(("name", "audio", "order"), [("pcm.wav", b"data", "little"), ("pcm.aiff", b"SSND", "big")])
def test_a_size_that_leaves_out_half_of_the_audio_is_listed(contents, decode_content, name, audio, order):
    data = contents[name]
    at = data.index(audio) + 4
    half = int.from_bytes(data[at : at + 4], order) // 4 * 2
    seconds, defects = decode_content(name, data[:at] + half.to_bytes(4, order) + data[at + 4 :])
    assert seconds == pytest.approx(SECONDS / 2, abs=0.1)
    assert "stray_bytes" in defects


@pytest.mark.parametrize("name", [*CONTAINERS, "opus.webm"])
def test_a_second_file_in_the_same_file_is_listed(contents, decode_content, name):
    _, defects = decode_content(name, contents[name] * 2)
    assert set(defects) & {"joined", "stray_bytes"}


@pytest.mark.parametrize(
    "name", [*CONTAINERS, *CHECKED, "opus.webm", "adts.aac", "live.mka", "live.wav", "live.caf", "vbr.mp3"]
)
def test_a_file_of_another_format_behind_the_audio_is_listed(contents, decode_content, name):
    outcome = decode_content(name, contents[name])
    for other in (
        "pcm.wav",
        "vbr_without_header.mp3",
        "vorbis.ogg",
        "flac.flac",
        "faststart.m4a",
        "asf.wma",
        "pcm.caf",
    ):
        if other.split(".")[0] == name.split(".")[0]:
            continue
        joined = decode_content(name, contents[name] + contents[other])
        assert isinstance(joined, str) or joined[1] or joined[0] > outcome[0] + SECONDS - 0.2, other
        if name in CHECKED and not (name in OGG and other in OGG):
            assert joined[1] == ("joined",), (other, joined)


@pytest.mark.parametrize("suffix", ["mp3", "wav", "m4a", "bin"])
@pytest.mark.parametrize("name", ["cbr.mp3", "vbr_without_header.mp3", "layer2.mp2", "adts.aac", "mp3_in.wav"])
def test_audio_whose_beginning_is_lost_is_listed_whatever_its_name(contents, decode_content, name, suffix):
    data = contents[name]
    noise = np.random.default_rng(1).integers(0, 255, 5000, np.uint8).tobytes()
    for lost in (data[777:], data[27_001:], data[len(data) // 2 + 7 :], noise + data[1111:]):
        outcome = decode_content(f"a.{suffix}", lost)
        assert isinstance(outcome, str) or "stray_bytes" in outcome[1], outcome


def test_lost_frames_of_aac_are_listed(contents, decode_content):
    data = contents["adts.aac"]
    for damaged in (data[:-100], data[:9000] + data[9100:], blank(data, 0.5)):
        outcome = decode_content("a.aac", damaged)
        assert set(outcome[1]) & {"incomplete", "stray_bytes"}, outcome


@pytest.mark.parametrize("name", ["pcm.wav", "pcm.aiff", "pcm.au"])
def test_bytes_behind_the_audio_are_listed_unless_they_are_a_tag(contents, decode_content, name):
    data = contents[name]
    for tag in (make_id3v1_tag(), make_ape_tag(), bytes(5000), b""):
        assert is_whole(decode_content(name, data + tag))
    assert decode_content(name, data + b"\xfe\x00\x10" * 900)[1] == ("stray_bytes",)


@pytest.mark.parametrize("name", OTHERS)
def test_errors_that_ffmpeg_reports_are_listed(contents, decode_content, name):
    assert is_whole(decode_content(name, contents[name]))
    outcome = decode_content(name, blank(contents[name], 0.5))
    assert outcome in ("truncated", "undecodable") or "decoder_errors" in outcome[1]


@pytest.mark.parametrize("text", ["Duration: 00:00:01.00", "Duration: 99:00:00.00", "A [fatal] love", "a [error] b"])
@pytest.mark.parametrize("name", ["titled.m4a", "titled.wma", "titled.mka"])
def test_a_title_is_not_taken_for_a_report_of_ffmpeg(contents, decode_content, tmp_path, name, text):
    source = tmp_path / "source.wav"
    source.write_bytes(contents["pcm.wav"])
    data = encode(source, tmp_path / f"made_{name}", "-metadata", f"title={text}", "-metadata", f"artist={text}")
    assert is_whole(decode_content(name, data.read_bytes()))


def test_no_changed_bit_of_a_length_in_an_mp4_loses_sound_in_silence(contents, decode_content):
    """The ticks in a second of the file, and the length of its edit; the table of the samples still states all."""
    data = contents["faststart.m4a"]
    for first in (data.index(b"mvhd") + 16, data.index(b"elst") + 12, data.index(b"elst") + 16):
        for bit in range(32):
            changed = bytearray(data)
            changed[first + bit // 8] ^= 1 << bit % 8
            outcome = decode_content("a.m4a", bytes(changed))
            assert is_whole(outcome) or isinstance(outcome, str) or outcome[1], (first, bit, outcome)
            if bit % 5 == 0:
                assert decode_content("a.m4a", bytes(changed), start_seconds=2.0) != "out_of_range"


def test_an_mp4_cut_by_its_edit_is_used_and_listed(contents, decode_content):
    data = bytearray(contents["faststart.m4a"])
    ticks = int.from_bytes(data[data.index(b"mvhd") + 16 :][:4], "big")
    for at in (data.index(b"elst") + 12, data.index(b"tkhd") + 24):
        data[at : at + 4] = (3 * ticks).to_bytes(4, "big")
    assert decode_content("a.m4a", bytes(data)) == (pytest.approx(3, abs=0.1), ("incomplete",))


PICTURE = ("-f", "lavfi", "-i", "color=c=red:s=64x64:r=10:d=9", "-map", "1:v", "-map", "0:a")
VIDEOS = {
    "a.mp4": ("-c:a", "aac"),
    "a.mov": ("-c:a", "pcm_s16le"),
    "a.mkv": ("-c:a", "libvorbis"),
    "a.webm": ("-c:v", "libvpx", "-c:a", "libopus"),
    "a.avi": ("-c:a", "libmp3lame"),
    "fragments.mp4": ("-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"),
}


@pytest.mark.parametrize("name", VIDEOS)
def test_a_picture_that_is_longer_than_the_sound_is_no_loss(contents, decode_content, tmp_path, name):
    source = tmp_path / "source.wav"
    source.write_bytes(contents["pcm.wav"])
    data = encode(source, tmp_path / f"made_{name}", *PICTURE, "-c:v", "mpeg4", *VIDEOS[name]).read_bytes()
    assert is_whole(decode_content(name, data))
    late = ("-itsoffset", "3", *PICTURE[:4], "-map", "1:v", "-map", "0:a")
    assert is_whole(decode_content(name, encode(source, tmp_path / f"late_{name}", *late, *VIDEOS[name]).read_bytes()))
    if name in ("a.mkv", "a.webm", "a.avi"):
        assert decode_content(name, data[: len(data) // 2]) == "truncated"


def test_each_of_two_sounds_of_different_length_is_whole(contents, decode_content, tmp_path):
    source = tmp_path / "source.wav"
    source.write_bytes(contents["pcm.wav"])
    second = ("-f", "lavfi", "-i", "sine=r=44100:d=2", "-map", "1:a", "-map", "0:a")
    for name in ("two.m4a", "two.mka"):
        data = encode(source, tmp_path / f"made_{name}", *second).read_bytes()
        assert is_whole(decode_content(name, data), 2.0)
        assert is_whole(decode_content(name, data, stream=1))


# ----------------------------------------------------------------------------------------------------- windows


@pytest.mark.parametrize(
    "name", ["vorbis.ogg", "opus.opus", "cbr.mp3", "vbr_without_header.mp3", "flac.flac", "faststart.m4a"]
)
def test_random_windows_equal_the_whole_clip(contents, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(contents[name])
    whole = decode(path, sample_rate=RATE)
    rng = np.random.default_rng(1)
    for start in rng.uniform(0, SECONDS - 0.6, 40):
        part = decode(path, sample_rate=RATE, start_seconds=start, end_seconds=start + 0.4)
        first = round(start * RATE)
        np.testing.assert_allclose(part, whole[first : round((start + 0.4) * RATE)], atol=2e-6)
