from __future__ import annotations

import pickle
from concurrent.futures.process import BrokenProcessPool
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest

from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core.errors import TemporaryError, UserError
from workflow_scripts.synthesis import write
from workflow_scripts.synthesis.dances import DANCES, DanceRecipe, tempo_at_quantile
from workflow_scripts.synthesis.genres import GENRES, GenreRecipe
from workflow_scripts.synthesis.instruments import EnsembleRecipe
from workflow_scripts.synthesis.render import SAMPLE_RATE


def make_specs(number: int) -> list[write.ClipSpec]:
    return [
        # organs, pads and pianos depend on what the synthesiser rendered before
        write.ClipSpec(path=f"{i // 10}/{i}.wav", recipe=EnsembleRecipe(("organ", "synthesizer", "piano")), seed=(0, i))
        for i in range(number)
    ]


def read_contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.wav"))}


@pytest.mark.slow
def test_processes_write_what_one_process_writes(tmp_path, monkeypatch):
    specs = make_specs(80)
    for name, minimum, order in (("one", 1000, specs), ("many", 1, specs[::-1])):
        monkeypatch.setattr(write, "MIN_CLIPS_FOR_PROCESSES", minimum)
        write.write_clips(tmp_path / name, order, seconds=3.0, total=80)
    assert read_contents(tmp_path / "one") == read_contents(tmp_path / "many")
    assert len(set(read_contents(tmp_path / "one").values())) == 80


def test_clips_are_drawn_only_as_they_are_written(tmp_path):
    class Pool:
        def submit(self, function, root, chunk, seconds):
            future = write.Future()
            future.set_result(len(chunk))
            return future

    numbers = count()
    endless = (next(numbers) for _ in count())
    written = list(islice(write._write_in_window(Pool(), tmp_path, endless, 1.0, window=2), 100))
    assert len(written) == 100
    assert next(numbers) <= 100 + 4 * write.CLIPS_PER_TASK


def test_a_share_of_the_clips_has_defects(tmp_path):
    twin = TwinOptions(clips=20, clip_seconds=1.0, defects=True)
    with_defects = list(write.add_defects(make_specs(20), twin))
    assert sorted(clip.defect for clip in with_defects if clip.defect) == ["empty", "silent", "truncated"]
    assert len({clip.seed for clip in with_defects}) == 19  # one is a duplicate of another
    sizes = {clip.defect: len(write.encode_clip(clip, 1.0)) for clip in with_defects}
    assert sizes["empty"] == 0
    assert sizes["truncated"] < 0.4 * sizes[None]
    assert list(write.add_defects(make_specs(20), TwinOptions(clips=20, clip_seconds=1.0))) == make_specs(20)


def test_a_clip_too_short_for_music_is_refused(tmp_path):
    with pytest.raises(UserError, match="clip_seconds must be at least"):
        write.write_clips(tmp_path, make_specs(1), seconds=0.1, total=1)


@pytest.mark.parametrize(
    "recipe", [*(DanceRecipe(d, 100.0, 1, 2) for d in DANCES), *(GenreRecipe(g, 3) for g in GENRES)]
)
def test_every_recipe_fills_its_clip_and_can_be_pickled(recipe):
    clip = write.ClipSpec(path="x.wav", recipe=pickle.loads(pickle.dumps(recipe)), seed=(1, 2))
    audio = write.render_clip(clip, 4.0)
    assert audio.shape == (4 * SAMPLE_RATE,)
    np.testing.assert_array_equal(audio, write.render_clip(clip, 4.0))
    levels = np.sqrt(np.mean(audio.reshape(4, -1) ** 2, axis=1))
    assert levels.min() > 0.05 * levels.max()


def test_tempos_follow_the_real_set_and_overlap():
    tempos = {dance: [tempo_at_quantile(dance, quantile) for quantile in (0.05, 0.5, 0.95)] for dance in DANCES}
    assert tempos["Jive"] == [132, 172, 175]
    assert tempo_at_quantile("Samba", 0.05) < tempo_at_quantile("Rumba", 0.95)
    assert tempo_at_quantile("Foxtrot", 0.99) > tempo_at_quantile("Chacha", 0.05)
    assert tempo_at_quantile("Tango", 0.05) < tempo_at_quantile("Chacha", 0.5) < tempo_at_quantile("Tango", 0.5)
    assert tempo_at_quantile("Jive", 0.95) > tempo_at_quantile("Viennesewaltz", 0.05)


def test_a_version_keeps_the_song_and_another_band_sounds_different():
    one, other = (
        DanceRecipe("Tango", 120.0, song_seed=5, band_seed=band)(np.random.default_rng(0), seconds=3.0)
        for band in (1, 2)
    )
    pitches = [[part.notes[:, 2].tolist() for part in piece.parts] for piece in (one, other)]
    assert pitches[0] == pitches[1]
    assert [part.program for part in one.parts] != [part.program for part in other.parts]


def test_a_killed_process_can_be_tried_again(tmp_path):
    class Pool:
        def submit(self, *_):
            future = write.Future()
            future.set_exception(BrokenProcessPool())
            return future

    with pytest.raises(TemporaryError, match="run again"):
        next(write._write_in_window(Pool(), tmp_path, make_specs(1), 1.0, window=2))
