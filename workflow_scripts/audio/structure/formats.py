"""Starts of sound files by format, to recognise a file, and another one inside or behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from mmap import mmap

from workflow_scripts.audio.structure import mpeg
from workflow_scripts.audio.structure.tags import skip_tags, strip_tags

#: long enough that no audio looks like one by chance; the name in each is searched first, since that is fast
LONG_STARTS = {
    b"RIFF": rb"RIFF.{4}(?:WAVE|AVI |CDXA|RMP3)",
    b"RIFX": rb"RIFX.{4}WAVE",
    b"RF64": rb"(?:RF64|BW64).{4}WAVE",
    b"FORM": rb"FORM.{4}(?:AIFF|AIFC|8SVX|16SV|MAUD)",
    b"FRM8": rb"FRM8.{8}DSD ",
    b"riff": rb"riff\x2e\x91\xcf\x11",
    b"OggS": rb"OggS\0[\0-\x07].{8}",
    b"fLaC": rb"fLaC[\0\x80]\0\0\x22",
    b"\x1a\x45\xdf\xa3": rb"\x1a\x45\xdf\xa3(?=.{0,60}\x42\x82)",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c",
    b"caff": rb"caff\0[\x01\x02]\0\0",
    b".snd": rb"\.snd\0.{7}\0\0\0[\x01-\x1b]",
    b"wvpk": rb"wvpk.{4}[\x02-\x10]\x04",
    b"ftyp": rb"\0.{3}ftyp",
    b"ID3": rb"ID3[\x02-\x04]\0.[\0-\x7f]{4}",
    b"TTA1": rb"TTA[12][\x01-\x03]\0",
    b"MPCK": rb"MPCKSH",
    b"MAC ": rb"MAC [\x80-\xa0]\x0f",
    b"DSD ": rb"DSD \x1c\0\0\0",
    b"#!AMR": rb"#!AMR(?:-WB)?\n",
    b"FLV\x01": rb"FLV\x01[\x01\x04\x05]\0\0\0\x09",
    b"\0\0\x01\xba": rb"\0\0\x01\xba[\x21\x44-\x7f].{9}",
}
#: before the name, in these formats
NAME_OFFSETS = {b"ftyp": 4}
#: short ones, and those of other formats that ffmpeg and libsndfile read: AC-3, DTS, LOAS, MPEG of free format and in
#: streams of packets, mp4 without its first box, Musepack, Monkey's, RealMedia, Shorten, TAK, NIST, IRCAM, VOC and more
SHORT_STARTS = (
    rb"\x0b\x77|\x77\x0b|\x7f\xfe\x80\x01|\xfe\x7f\x01\x80|\x1f\xff\xe8\0|\xff\x1f\0\xe8|\x64\x58\x20\x25|DTSHDHDR"
    rb"|\x56[\xe0-\xff]|\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][\0-\x0f]|\0\0\x01[\xb3\xbb\xc0-\xef]"
    rb"|G.{187}G.{187}G|.{4}G.{191}G.{191}G|G.{203}G.{203}G"
    rb"|[\0-\x0f].{3}(?:moov|mdat|wide|free|skip|pnot)|MP\+|MAC |DSD |TTA[12]|wvpk|MPCK|caff|\.snd|dns\.|RIFF|RF64|FORM"
    rb"|FFIR|\.RMF|\.ra\xfd|ajkg|tBaK|NIST_1A|fap | paf|Creative Voice|MATLAB|\x64\xa3.\0|\0.\xa3\x64|PVF1|Extended In"
    rb"|2BIT|ALaw|\xf0\x7e|LM8953|\x01\x04"
)
START = re.compile(b"|".join((*LONG_STARTS.values(), SHORT_STARTS)), re.DOTALL)
CONTENT = re.compile(rb"[^\0]")
START_ZEROS = 3  # with which some files begin: mp4 and streams of packets
END_BYTES = 1 << 16  # searched for the frames at the end of a file, which have up to 2881 bytes
#: searched behind the start of the audio, and as many before the end: 22 names in so many take some seconds, and the
#: longest clips of data sets, songs as FLAC, have fewer
SEARCHED_BYTES = 1 << 26


def begins_file(data: mmap, position: int) -> bool:
    """Return whether a sound file of a known format begins at `position`, without its tags."""
    return START.match(data, position) is not None or mpeg.starts_stream(data, position, len(data))


def read_tail(data: mmap, position: int) -> str | None:
    """Return the fault of what follows audio: another file, or other bytes; None for tags, zeros and nothing."""
    first = position
    while (content := CONTENT.search(data, skip_tags(data, position))) is not None and content.start() > position:
        position = content.start()
    if content is None:
        return None
    places = range(max(first, position - START_ZEROS), position + 1)
    return "joined" if any(begins_file(data, place) for place in places) else "stray_bytes"


def contains_file(data: mmap, position: int, *, without: bytes = b"") -> bool:
    """Return whether a file, of another format than `without`, begins behind `position`, where audio has no known end.

    Of MPEG audio without a tag before it only the end is looked at, and of a very long file only beginning and end.
    """
    parts = [(position, len(data))]
    if len(data) - position > 2 * SEARCHED_BYTES:
        parts = [(position, position + SEARCHED_BYTES), (len(data) - SEARCHED_BYTES, len(data))]
    for name, start in LONG_STARTS.items():
        if name == without:
            continue
        pattern, offset = re.compile(start, re.DOTALL), NAME_OFFSETS.get(name, 0)
        for start_of_part, end in parts:
            if any(_begins(data, at - offset, pattern) for at in _find_all(data, name, start_of_part, end)):
                return True
    pattern = mpeg.UNLIKE_FLAC if without == b"fLaC" else mpeg.FRAME_START
    return mpeg.ends_with_frames(data, max(position, len(data) - END_BYTES), strip_tags(data), pattern=pattern)


def _begins(data: mmap, position: int, pattern: re.Pattern[bytes]) -> bool:
    return pattern.match(data, position) is not None and begins_file(data, skip_tags(data, position))


def _find_all(data: mmap, name: bytes, position: int, end: int) -> Iterator[int]:
    while (position := data.find(name, position, end)) >= 0:
        yield position
        position += len(name)
