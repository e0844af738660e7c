from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from workflow_scripts.synthesis import dances, genres
from workflow_scripts.synthesis.instruments import DISTRACTORS, OPENMIC, draw_score, play_part
from workflow_scripts.synthesis.render import (
    HIGHEST_PITCH,
    PART_LEVEL,
    SAMPLE_RATE,
    UNUSABLE_PROGRAMS,
    Renderer,
    find_soundfont,
)
from workflow_scripts.synthesis.score import Part, Piece
from workflow_scripts.twins import audioset_music


def note(pitch: int, strength: float = 1.0, program: int = 0, drums: bool = False) -> Part:
    return Part(program=program, drums=drums, notes=np.array([[0.1, 0.4, pitch, strength]]))


def test_the_soundfont_is_found_without_importing_pretty_midi():
    code = (
        "import sys; from workflow_scripts.synthesis.render import find_soundfont;"
        "find_soundfont(); print('pretty_midi' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
    assert find_soundfont().stat().st_size > 5e6


@pytest.mark.parametrize("pitch", [45, 57, 69])
def test_a_note_has_its_pitch(pitch):
    audio = Renderer().render_part(note(pitch, program=73), length=SAMPLE_RATE)
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    harmonic = spectrum.argmax() * SAMPLE_RATE / len(audio) / frequency
    assert harmonic == pytest.approx(round(harmonic), abs=0.03)


def test_parts_of_any_program_are_equally_loud():
    for program in (0, 9, 40, 80, 105):
        audio = Renderer().render_part(note(60, program=program), length=SAMPLE_RATE)
        sounding = audio[np.abs(audio) > 0.01 * np.abs(audio).max()]
        assert np.sqrt(np.mean(sounding**2)) == pytest.approx(PART_LEVEL, rel=0.01)


def test_strokes_differ_in_strength():
    peaks = [
        np.abs(Renderer().render_part(note(38, strength, drums=True), length=SAMPLE_RATE)).max()
        for strength in (0.35, 1.0)
    ]
    assert peaks[0] == pytest.approx(0.35 * peaks[1], rel=0.01)


def test_notes_that_cannot_be_rendered_are_lowered_by_octaves():
    high = Renderer().render_part(note(HIGHEST_PITCH + 14, program=30), length=SAMPLE_RATE)
    low = Renderer().render_part(note(HIGHEST_PITCH - 10, program=30), length=SAMPLE_RATE)
    np.testing.assert_array_equal(high, low)


@pytest.mark.parametrize("name", [*OPENMIC, "distractor"])
def test_every_instrument_sounds_in_every_clip(name):
    instrument = OPENMIC.get(name, DISTRACTORS)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        score = draw_score(rng, seconds=3.0)
        start = round(rng.uniform(0, score.bar_seconds) * SAMPLE_RATE)
        part = play_part(rng, score, instrument, level=0.0)
        audio = Renderer().render_part(part, length=start + 3 * SAMPLE_RATE)[start:]
        assert np.sqrt(np.mean(audio**2)) > 0.003  # 30 dB below PART_LEVEL, of three seconds with their pauses
        if instrument.programs:
            assert part.notes[:, 2].min() >= instrument.low
            assert part.notes[:, 2].max() <= instrument.high


def test_a_clip_has_its_length_and_no_clipping():
    piece = Piece(parts=(note(60), note(38, drums=True)), start=0.05)
    audio = Renderer().render_clip(piece, seconds=0.777, rng=np.random.default_rng(0))
    assert audio.shape == (round(0.777 * SAMPLE_RATE),)
    assert audio.dtype == np.float32
    assert 0.1 < np.abs(audio).max() < 1


def test_every_program_in_use_renders_reproducibly():
    programs = {program for instrument in (*OPENMIC.values(), DISTRACTORS) for program in instrument.programs}
    programs |= {
        *dances.LEADS,
        *dances.BACKINGS,
        *dances.BASSES,
        *genres.COMMON_PROGRAMS,
        *audioset_music.SOUND_EFFECTS,
    }
    for genre in genres.GENRES.values():
        programs |= {*genre.leads, *genre.backings, *genre.pads, *genre.basses}
    assert not programs & UNUSABLE_PROGRAMS
    with pytest.raises(AssertionError, match="reproducibly"):
        Renderer().render_part(note(75, program=65), length=SAMPLE_RATE)
