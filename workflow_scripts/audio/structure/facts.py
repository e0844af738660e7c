"""Facts about the audio of a file, read from its structure."""

from __future__ import annotations

from dataclasses import dataclass, field

#: share of the stated length below which a clip is refused as truncated; a smaller loss is listed
MIN_SHARE = 0.9


@dataclass(frozen=True, kw_only=True)
class StreamFacts:
    """Facts about the audio of a file.

    `faults` maps keys of `decode.REASONS` and `decode.DEFECTS` to the second from which on they matter.
    """

    seconds: float | None = None  # length of all that is there, padding included; None: not known
    padding_seconds: float = 0.0  # of `seconds`, what decoders may trim
    faults: dict[str, float] = field(default_factory=dict)
    last_page_seconds: float | None = None  # where the last Ogg page begins: libsndfile is inexact when it seeks there
    present_share: float = 1.0  # of the bytes of audio that a header states; libsndfile knows only those present
    start_byte: int = 0  # of MPEG audio: ffmpeg takes tags other than ID3 before it for audio
    has_checksums: bool = False  # of every part of the audio, and decoders compare them
    is_verified: bool = False  # all checksums were compared here: what decoders complain of is outside the clip
    md5: bytes | None = None  # of all samples, as integers of so many bytes as `bits` need
    bits: int = 0
