"""Extended Ballroom: dances, 4,180 clips of 30 s in 13 classes, of which nine are used (Marchand and Peeters, 2016)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import _splits
from workflow_scripts.datasets._files import (
    MISSING,
    audio_by_key,
    clip_table,
    excluded_table,
    one_hot,
    published_list,
)
from workflow_scripts.levels.dataset_index import DatasetIndex
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.sources.remotes import Remote

LABEL = "Extended Ballroom"
TASK = "multiclass"
#: clips of the published set and their length, for estimates
SIZE = {"clips": 4180, "seconds": 30.0}
BIBTEX = """@inproceedings{marchand2016extended,
  author = {Marchand, Ugo and Peeters, Geoffroy},
  title = {The Extended Ballroom Dataset},
  booktitle = {Late-Breaking Session of the 17th International Society for Music Information Retrieval Conference},
  year = {2016}
}"""
LICENSE = "none stated: previews of commercial recordings, for research; bring your own copy"
# No archive is published: the owner's script fetches file by file from a shop.
REMOTES: dict[str, Remote] = {}

NAME = "extendedballroom_v1.1.xml"
ORIGINAL = ".mp3"  # format of the files whose checksums the xml states
#: the four smallest classes, dropped as Wu et al. (2021, section 3.5) do after Jeong et al. (2017)
DROPPED = frozenset(("Slowwaltz", "Pasodoble", "Salsa", "Wcswing"))
ALL_CLASSES = frozenset(
    ("Waltz", "Foxtrot", "Quickstep", "Rumba", "Samba", "Tango", "Chacha", "Jive", "Viennesewaltz", *DROPPED)
)
#: child elements of a song; the data set's readme calls them attributes
REPETITIONS = ("exact", "version", "time", "karaoke")


class Options(LevelOptions):
    """Options of the classes that are used and of the split."""

    classes: Literal["nine", "all"] = "nine"
    """The paper's nine classes, or all thirteen."""
    split: Literal["grouped", "plain"] = "grouped"
    """`grouped` keeps repetitions of a song together; `plain` splits every clip on its own, which is nearer to what Wu
    et al. may have done, but puts the same recording in training and test."""


@dataclass(frozen=True, kw_only=True)
class BallroomSong:
    """One `song` element of the xml; `repetitions` are the ids of the songs marked as repeats of it.

    `md5` is that of its mp3, empty if none is stated.
    """

    song: str
    dance: str
    repetitions: tuple[str, ...]
    md5: str = ""


def index(root: Path, options: Options) -> DatasetIndex:
    """Index the clips of the xml; the stratified split 70/15/15 does not depend on the files that exist.

    Audio is named `<id>` or `<dance>.<id>`, in any folder below `root` and any format. Raises `UserError` when there is
    no xml, when it cannot be read, or when no audio is found; notes missing classes.
    """
    xml = find_xml(root)
    songs = read_songs(xml)
    known = {song.dance for song in songs}
    missing = sorted(ALL_CLASSES - known - (DROPPED if options.classes == "nine" else frozenset()))
    group_of = repeat_groups(songs)
    songs = sorted(
        (song for song in songs if options.classes == "all" or song.dance not in DROPPED), key=lambda song: song.song
    )
    groups = [group_of[song.song] if options.split == "grouped" else song.song for song in songs]
    split = _splits.split_by_group(groups, classes=[song.dance for song in songs])
    files = audio_by_key(root, lambda path: path.stem.rpartition(".")[2])
    rows = []
    excluded = []
    for song, part, group in zip(songs, split, groups, strict=True):
        path = files.get(song.song)
        if path is None:
            excluded.append((song.song, MISSING))
        else:
            rows.append((song, path, part, group))
    if not rows:
        raise UserError(
            f"{root} holds no audio of {xml.name}: looked for Waltz/100601.mp3, Waltz/Waltz.100601.mp3 and 100601.wav "
            "in all folders"
        )
    clips = [song.song for song, *_ in rows]
    return DatasetIndex(
        task="multiclass",
        clips=clip_table(
            clip=clips, path=[row[1] for row in rows], split=[row[2] for row in rows], group=[row[3] for row in rows]
        ),
        labels=one_hot([song.dance for song, *_ in rows], classes=sorted({song.dance for song in songs}), clips=clips),
        excluded=excluded_table(excluded),
        notes=(f"{xml.name} lacks {', '.join(missing)}: the original has thirteen classes",) if missing else (),
        md5={path: song.md5 for song, path, *_ in rows if song.md5 and path.lower().endswith(ORIGINAL)},
    )


def find_xml(root: Path) -> Path:
    """Return the path of the data set's xml in `root` or one folder below; `UserError` if there is none."""
    paths = sorted([*root.glob("extendedballroom*.xml"), *root.glob("*/extendedballroom*.xml")])
    if not paths:
        raise UserError(f"{root} lacks {NAME}: put the data set's xml there, beside the folders of the dances")
    return paths[-1]  # the highest version


def read_songs(xml: Path) -> list[BallroomSong]:
    """Read the songs of the xml; `UserError` for a document type, by which a small file can grow without bound."""
    content = xml.read_bytes()
    if re.search(rb"<!(DOCTYPE|ENTITY)", content, re.IGNORECASE) or b"\x00" in content:
        raise UserError(f"{xml} declares entities, which the data set's own xml does not: get the original")
    with published_list(xml):
        tree = ElementTree.fromstring(content)
    songs = {
        song.get("id", "").strip(): BallroomSong(
            song=song.get("id", "").strip(),
            dance=dance.tag,
            repetitions=tuple(child.get("id", "").strip() for child in song if child.tag in REPETITIONS),
            md5=song.get("hash", "").strip(),
        )
        for dance in tree
        for song in dance.iter("song")
    }
    unusable = [name for name in songs if not re.fullmatch(r"[\w-]+", name)]
    if unusable or not songs:
        raise UserError(f"{xml} has songs without a plain id or no songs at all: get the original")
    return list(songs.values())


def repeat_groups(songs: list[BallroomSong]) -> dict[str, str]:
    """Map each song id to the smallest id among all songs connected to it by repetition marks, directly or not."""
    leader = {song.song: song.song for song in songs}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]  # halve the path
            name = leader[name]
        return name

    for song in songs:
        for other in song.repetitions:
            if other in leader:  # a few marks may name songs that are not in the set
                first, second = sorted((find(song.song), find(other)))
                leader[second] = first
    return {song.song: find(song.song) for song in songs}
