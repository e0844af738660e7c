from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.files import put, touch
from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import openmic

LABELS = """sample_key,instrument,relevance,num_responses
000999_11520,cello,0.82,3
000999_11520,organ,0.14,3
095253_134400,piano,0.1,3
123456_0,voice,0.5,4
123456_0,mallet_percussion,0.49999,4
"""
METADATA = """album_id,artist_id,track_genres,track_id,sample_key,start_time
1,7,"[{'genre_id': '12', 'genre_title': 'Rock'}]",999,000999_11520,30.0
2,8,[],123456,123456_0,0.0
3,7,[],95253,095253_134400,350.0
"""
KEYS = ("000999_11520", "095253_134400", "123456_0")


def write(root: Path, *, partitions: tuple[str, str] = ("split01_train.csv", "split01_test.csv")) -> Path:
    put(
        root,
        {
            "openmic-2018-aggregated-labels.csv": LABELS,
            "openmic-2018-metadata.csv": METADATA,
            f"partitions/{partitions[0]}": "000999_11520\n095253_134400\n",
            f"partitions/{partitions[1]}": "123456_0\n",
        },
    )
    return touch(root, *(f"audio/{key[:3]}/{key}.ogg" for key in KEYS))


def write_npz(root: Path, *, keys: object) -> None:
    truth, mask = np.full((3, 20), 0.5), np.zeros((3, 20), bool)
    for row, column, value in ((0, 3, 0.82), (0, 11, 0.14), (1, 12, 0.1), (2, 19, 0.5), (2, 9, 0.49999)):
        truth[row, column], mask[row, column] = value, True
    buffer = io.BytesIO()
    np.savez(buffer, X=np.zeros((3, 10, 128)), Y_true=truth, Y_mask=mask, sample_key=keys)
    put(root, {"openmic-2018.npz": buffer.getvalue()})


def test_unobserved_is_nan_and_half_is_present(tmp_path):
    index = openmic.index(write(tmp_path), openmic.Options())
    assert index.task == "multilabel"
    assert list(index.labels.columns) == list(openmic.CLASSES)
    assert index.labels.notna().to_numpy().sum() == 5
    assert index.labels.loc["000999_11520", ["cello", "organ"]].tolist() == [1, 0]
    assert index.labels.loc["123456_0", ["voice", "mallet_percussion"]].tolist() == [1, 0]
    assert np.isnan(index.labels.loc["000999_11520", "piano"])


def test_the_owners_correction_by_hand_is_applied(tmp_path):
    assert openmic.index(write(tmp_path), openmic.Options()).labels.loc["095253_134400", "piano"] == 1


@pytest.mark.parametrize("names", [("split01_train.csv", "split01_test.csv"), ("train01.txt", "test01.txt")])
def test_both_names_of_the_partitions_and_the_outer_folder(tmp_path, names):
    write(tmp_path / "openmic-2018", partitions=names)
    index = openmic.index(tmp_path, openmic.Options())
    assert index.clips["path"][0] == "openmic-2018/audio/000/000999_11520.ogg"
    assert dict(zip(index.clips["clip"], index.clips["split"], strict=True))["123456_0"] == "test"


def test_an_artist_is_in_one_split(tmp_path):
    index = openmic.index(write(tmp_path), openmic.Options())
    both = index.clips[index.clips["clip"] != "123456_0"]
    assert both["group"].nunique() == both["split"].nunique() == 1


def test_a_recording_under_two_artists_is_in_one_split(tmp_path):
    doubled = [key for pair in openmic.DOUBLES for key in pair]
    keys = [*doubled, *(f"{i:06d}_0" for i in range(40))]
    put(
        tmp_path,
        {
            "openmic-2018-aggregated-labels.csv": LABELS,
            "openmic-2018-metadata.csv": "artist_id,sample_key,start_time\n"
            + "".join(f"{i},{key},0\n" for i, key in enumerate(keys)),
            "partitions/split01_train.csv": "\n".join(keys[:-3]),
            "partitions/split01_test.csv": "\n".join(keys[-3:]),
        },
    )
    touch(tmp_path, *(f"audio/{key[:3]}/{key}.ogg" for key in keys))
    clips = openmic.index(tmp_path, openmic.Options()).clips.set_index("clip")
    for first, second in openmic.DOUBLES:
        assert clips.loc[first, "group"] == clips.loc[second, "group"]
        assert clips.loc[first, "split"] == clips.loc[second, "split"]


def test_validation_is_a_quarter_of_training(tmp_path):
    keys = [f"{i:06d}_0" for i in range(200)]
    put(
        tmp_path,
        {
            "openmic-2018-aggregated-labels.csv": "sample_key,instrument,relevance,num_responses\n"
            + "".join(f"{key},flute,0.9,3\n" for key in keys),
            "openmic-2018-metadata.csv": "artist_id,sample_key,start_time\n"
            + "".join(f"{i // 3},{key},0\n" for i, key in enumerate(keys)),
            "partitions/split01_train.csv": "\n".join(keys[:150]),
            "partitions/split01_test.csv": "\n".join(keys[150:]),
        },
    )
    touch(tmp_path, *(f"audio/000/{key}.ogg" for key in keys))
    counts = openmic.index(tmp_path, openmic.Options()).clips["split"].value_counts()
    assert counts["test"] == 50
    assert counts["valid"] == pytest.approx(37.5, abs=2)


def test_missing_audio_is_excluded_with_a_reason(tmp_path):
    write(tmp_path)
    (tmp_path / "audio/123/123456_0.ogg").unlink()
    index = openmic.index(tmp_path, openmic.Options())
    assert index.excluded.to_numpy().tolist() == [["123456_0", "the audio file is missing"]]


def test_npz_alone_gives_the_same_labels(tmp_path):
    write(tmp_path)
    expected = openmic.read_labels(tmp_path)
    write_npz(tmp_path, keys=np.array(KEYS, dtype=object))
    (tmp_path / "openmic-2018-aggregated-labels.csv").unlink()
    read = openmic.read_labels(tmp_path)
    assert list(read.index) == list(expected.index)
    np.testing.assert_array_equal(read.to_numpy(), expected.to_numpy())


class Hostile:
    def __reduce__(self):
        return (print, ("this must never run",))


def test_npz_runs_no_foreign_code(tmp_path, capsys):
    write(tmp_path)
    write_npz(tmp_path, keys=np.array([Hostile(), "b", "c"], dtype=object))
    (tmp_path / "openmic-2018-aggregated-labels.csv").unlink()
    with pytest.raises(UserError, match=r"builtins\.print"):
        openmic.read_labels(tmp_path)
    assert "never" not in capsys.readouterr().out


def test_a_key_in_both_partitions_is_refused(tmp_path):
    write(tmp_path)
    put(tmp_path, {"partitions/split01_test.csv": "000999_11520\n"})
    with pytest.raises(UserError, match="repeats 000999_11520"):
        openmic.index(tmp_path, openmic.Options())


@pytest.mark.parametrize(
    "lost", ["openmic-2018-aggregated-labels.csv", "openmic-2018-metadata.csv", "partitions/split01_test.csv"]
)
def test_a_missing_list_is_named(tmp_path, lost):
    write(tmp_path)
    (tmp_path / lost).unlink()
    with pytest.raises(UserError, match=lost.rpartition("/")[2]):
        openmic.index(tmp_path, openmic.Options())
