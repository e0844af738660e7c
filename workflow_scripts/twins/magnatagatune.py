"""Twin of MagnaTagATune: songs of invented albums, cut into clips, with tags derived from what was composed.

Every tag is true of the clip by rule, and a rule that holds always gives its tag; only the few clips to which no
player gave a common tag break that, as in the real set. Layout: `annotations_final.csv`, `clip_info_final.csv` and the
folders 0 to f, one of them per album.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core.files import write_text
from workflow_scripts.synthesis import names
from workflow_scripts.synthesis.arrangements import Arrangement, arrange
from workflow_scripts.synthesis.write import ClipSpec, add_defects, derive_seed, make_rng, write_clips

#: the 188 columns of the real table in its order, misspellings included
TAGS = (
    "no voice", "singer", "duet", "plucking", "hard rock", "world", "bongos", "harpsichord", "female singing",
    "clasical", "sitar", "chorus", "female opera", "male vocal", "vocals", "clarinet", "heavy", "silence", "beats",
    "men", "woodwind", "funky", "no strings", "chimes", "foreign", "no piano", "horns", "classical", "female",
    "no voices", "soft rock", "eerie", "spacey", "jazz", "guitar", "quiet", "no beat", "banjo", "electric", "solo",
    "violins", "folk", "female voice", "wind", "happy", "ambient", "new age", "synth", "funk", "no singing",
    "middle eastern", "trumpet", "percussion", "drum", "airy", "voice", "repetitive", "birds", "space", "strings",
    "bass", "harpsicord", "medieval", "male voice", "girl", "keyboard", "acoustic", "loud", "classic", "string",
    "drums", "electronic", "not classical", "chanting", "no violin", "not rock", "no guitar", "organ", "no vocal",
    "talking", "choral", "weird", "opera", "soprano", "fast", "acoustic guitar", "electric guitar", "male singer",
    "man singing", "classical guitar", "country", "violin", "electro", "reggae", "tribal", "dark", "male opera",
    "no vocals", "irish", "electronica", "horn", "operatic", "arabic", "lol", "low", "instrumental", "trance",
    "chant", "strange", "drone", "synthesizer", "heavy metal", "modern", "disco", "bells", "man", "deep",
    "fast beat", "industrial", "hard", "harp", "no flute", "jungle", "pop", "lute", "female vocal", "oboe",
    "mellow", "orchestral", "viola", "light", "echo", "piano", "celtic", "male vocals", "orchestra", "eastern",
    "old", "flutes", "punk", "spanish", "sad", "sax", "slow", "male", "blues", "vocal", "indian", "no singer",
    "scary", "india", "woman", "woman singing", "rock", "dance", "piano solo", "guitars", "no drums", "jazzy",
    "singing", "cello", "calm", "female vocals", "voices", "different", "techno", "clapping", "house", "monks",
    "flute", "not opera", "not english", "oriental", "beat", "upbeat", "soft", "noise", "choir", "female singer",
    "rap", "metal", "hip hop", "quick", "water", "baroque", "women", "fiddle", "english",
)  # fmt: skip
INFO = (
    "clip_id", "track_number", "title", "artist", "album", "url", "segmentStart", "segmentEnd", "original_url",
    "mp3_path",
)  # fmt: skip
#: the styles of Magnatune, the label whose songs these are: much classical and electronic music, little of the charts
SHARES = {
    "classical": 0.17,
    "baroque": 0.08,
    "opera": 0.05,
    "choral": 0.05,
    "techno": 0.12,
    "ambient": 0.09,
    "new age": 0.08,
    "rock": 0.1,
    "metal": 0.05,
    "pop": 0.06,
    "country": 0.04,
    "indian": 0.06,
    "weird": 0.05,
}
SPLITS = ("0123456789ab", "c", "def")
# The real shares are 0.72, 0.07 and 0.21; with the few clips of a twin each split needs some.
SPLIT_SHARES = (0.70, 0.12, 0.18)
# At most. The real set has 4.8 clips a song; a small twin needs more songs.
SONGS_PER_ALBUM, CLIPS_PER_SONG = 2, 4
PARTS = 12  # of 29 s, from which a song's clips are taken
UNTAGGED = 0.06  # share of clips without a common tag (real: 16 % of the validation split, 19 % of the test split)
FIRST_ID = 60_000  # the real ids are below, and the loader excludes some of them
SLOW, FAST = 80.0, 130.0  # beats per minute
#: real rows: the files are empty in every copy
BAD = {
    35644: "6/norine_braun-now_and_zen-08-gently-117-146.mp3",
    55753: "8/jacob_heringman-josquin_des_prez_lute_settings-19-gintzler__pater_noster-204-233.mp3",
    57881: "9/american_baroque-dances_and_suites_of_rameau_and_couperin-25-"
    "le_petit_rien_xiveme_ordre_couperin-88-117.mp3",
}

#: tags of a player
_PLAYER_TAGS: dict[str, tuple[str, ...]] = {
    "acoustic guitar": ("guitar", "acoustic guitar"),
    "electric guitar": ("guitar", "electric guitar"),
    "distorted guitar": ("guitar", "electric guitar", "heavy"),
    "piano": ("piano",),
    "harpsichord": ("harpsichord",),
    "violin": ("violin", "strings", "fiddle"),
    "cello": ("cello", "strings"),
    "strings": ("strings",),
    "harp": ("harp",),
    "flute": ("flute",),
    "sitar": ("sitar",),
    "synth": ("synth", "synthesizer"),
    "pad": ("synth", "synthesizer"),
    "banjo": ("banjo",),
    "clarinet": ("clarinet",),
    "oboe": ("oboe",),
    "organ": ("organ",),
    "female voice": ("female", "woman", "female voice", "female vocal", "female singer"),
    "male voice": ("male", "man", "male voice", "male vocal", "male singer"),
    "choir": ("choir", "choral", "chorus"),
}
#: tags of a style
_STYLE_TAGS: dict[str, tuple[str, ...]] = {
    "classical": ("classical", "classic"),
    "baroque": ("classical", "classic", "baroque"),
    "opera": ("opera", "classical", "operatic"),
    "techno": ("techno", "electronic", "dance", "electronica"),
    "ambient": ("ambient", "electronic"),
    "new age": ("new age",),
    "rock": ("rock",),
    "metal": ("metal", "rock", "heavy metal"),
    "pop": ("pop",),
    "country": ("country",),
    "indian": ("indian", "india"),
    "weird": ("weird", "strange"),
}
_SUNG = ("vocal", "vocals", "voice", "singing")
_NOT_SUNG = ("no vocals", "no vocal", "no voice", "instrumental")
#: tags that are true of anything, for clips without a common tag
_RARE = ("world", "airy", "different", "modern", "not english", "calm")


@dataclass(frozen=True, kw_only=True)
class Album:
    """One album, in one folder."""

    artist: str
    title: str
    folder: str


@dataclass(frozen=True, kw_only=True)
class MagnatuneSong:
    """One track of an album."""

    album: Album
    track: int
    title: str
    arrangement: Arrangement


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One row: a part of a song, `start` in seconds, and its tags."""

    number: int
    path: str
    song: MagnatuneSong
    start: int
    tags: frozenset[str]


def write(root: Path, twin: TwinOptions) -> None:
    """Write the twin below `root`; equal options give equal files. `twin.clips` clips have audio."""
    clips = _draw_clips(twin)
    _write_tables(root, clips, bad=BAD if twin.defects else {})
    to_write = [
        ClipSpec(path=clip.path, recipe=clip.song.arrangement, seed=derive_seed(twin, "magnatagatune", clip.number))
        for clip in clips
    ]
    write_clips(root, add_defects(to_write, twin), seconds=twin.clip_seconds, total=len(to_write))
    for path in BAD.values() if twin.defects else ():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).touch()


def tags_of(arrangement: Arrangement) -> frozenset[str]:
    """Return all tags that hold for a track, by its instruments, style and tempo."""
    tempo, players = arrangement.beats_per_minute, arrangement.players
    driven = arrangement.drums and any(name in ("distorted guitar", "synth") for name in players)
    gentle = not arrangement.drums and tempo < SLOW
    alone = len(players) == 1 and "choir" not in players and not arrangement.drums and not arrangement.bass
    rules = {
        _STYLE_TAGS.get(arrangement.style, ()): True,
        _SUNG: bool(arrangement.voices),
        _NOT_SUNG: not arrangement.voices,
        ("drums", "beat", "beats"): arrangement.drums,
        ("no drums", "no beat"): not arrangement.drums,
        ("slow",): tempo < SLOW,
        ("fast",): tempo > FAST,
        ("loud",): driven,
        ("quiet", "soft"): gentle,
        ("solo",): alone,
    }
    held = {tag for tags, holds in rules.items() if holds for tag in tags}
    return frozenset(held | {tag for name in players for tag in _PLAYER_TAGS.get(name, ())})


def _draw_clips(twin: TwinOptions) -> list[Clip]:
    """Draw clips album by album, song by song, in the order of their ids, as in the real set.

    Splits, and styles within each, are filled evenly, so that a twin of some hundred clips lacks none.
    """
    rng = make_rng(twin, "songs")
    clips: list[Clip] = []
    placed = np.zeros((len(SPLITS), len(SHARES)))  # clips
    number, albums = FIRST_ID, 0
    while len(clips) < twin.clips:
        split = _most_lacking(placed.sum(axis=1), SPLIT_SHARES)
        album = _invent_album(rng, albums + 1, folders=SPLITS[split])
        for track in range(1, int(rng.integers(1, SONGS_PER_ALBUM + 1)) + 1):
            style = _most_lacking(placed[split], tuple(SHARES.values()))
            title, arrangement = names.invent_title(rng), arrange(rng, list(SHARES)[style])
            parts = np.sort(rng.permutation(PARTS)[: rng.integers(1, CLIPS_PER_SONG + 1)])[: twin.clips - len(clips)]
            for part in parts.tolist():
                number += int(rng.integers(1, 5))
                song = MagnatuneSong(album=album, track=track, title=title, arrangement=arrangement)
                clips.append(_draw_clip(rng, number, song, start=29 * part))
            placed[split, style] += len(parts)
        albums += 1
    return clips


def _most_lacking(counts: np.ndarray, shares: tuple[float, ...]) -> int:
    """Return the index that lacks most of its share once all counts are one larger; the first of several."""
    target = np.array(shares) / sum(shares)
    return int(np.argmax(target * (counts.sum() + 1) - counts))


def _invent_album(rng: np.random.Generator, number: int, *, folders: str) -> Album:
    return Album(
        artist=names.invent_artist(rng),
        title=f"{names.invent_title(rng)} No. {number}",  # invented names repeat; a path must not
        folder=str(rng.choice(list(folders))),
    )


def _draw_clip(rng: np.random.Generator, number: int, song: MagnatuneSong, *, start: int) -> Clip:
    words = "-".join(map(_to_path_name, (song.album.artist, song.album.title, f"{song.track:02d}", song.title)))
    tags = tags_of(song.arrangement)
    if rng.random() < UNTAGGED:
        tags = frozenset(rng.choice(_RARE, size=2, replace=False).tolist())
    return Clip(
        number=number, path=f"{song.album.folder}/{words}-{start}-{start + 29}.mp3", song=song, start=start, tags=tags
    )


def _to_path_name(text: str) -> str:
    """Convert to lower case, with an underscore for each blank and special character."""
    return re.sub(r"[^a-z0-9]", "_", text.lower())


def _write_tables(root: Path, clips: list[Clip], *, bad: dict[int, str]) -> None:
    annotations = [(clip.number, clip.path, clip.tags) for clip in clips]
    annotations += [(number, path, frozenset(("slow",))) for number, path in bad.items()]
    rows: list[list[object]] = [["clip_id", *TAGS, "mp3_path"]]
    rows += [[number, *(int(tag in tags) for tag in TAGS), path] for number, path, tags in sorted(annotations)]
    write_text(root / "annotations_final.csv", _format_tsv(rows))
    info: list[list[object]] = [list(INFO)]
    for clip in clips:
        song, album, url = clip.song, clip.song.album, "http://example.org/album"
        about = (song.track, song.title, album.artist, album.title, url)
        info.append([clip.number, *about, clip.start, clip.start + 29, f"{url}/song.mp3", clip.path])
    write_text(root / "clip_info_final.csv", _format_tsv(info))


def _format_tsv(rows: list[list[object]]) -> str:
    """Format rows separated by tabs, every field quoted."""
    return "".join("\t".join('"' + str(cell).replace('"', '""') + '"' for cell in row) + "\n" for row in rows)
