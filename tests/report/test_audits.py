import json
from pathlib import Path

import pytest

from tests.records import seal
from tests.report.aggregated_study import use_default_labels
from workflow_scripts.report import audits

NONE = {"exact": 0, "near": 0, "track": 0, "group": 0}
HEADER = "kind,leak,clip,split,other_corpus,other_clip,other_split,similarity,semitones,seconds,name\n"


@pytest.fixture
def write_audits(tmp_path: Path) -> Path:
    comparisons = [
        {"corpus": "openmic", "source": "twin", "overlaps": {**NONE, "group": 1200}, "leaks": {**NONE, "group": 2}},
        {"corpus": "audioset_music", "source": "local", "overlaps": {**NONE, "near": 3}, "leaks": {**NONE, "near": 1}},
    ]
    numbers = {"dataset": "openmic", "too_short": 1, "leaks": 3, "comparisons": comparisons}
    (tmp_path / "openmic.json").write_text(json.dumps(numbers))
    lines = [
        "group,True,a,train,openmic,b,test,,,,artist7",
        "near,True,c,test,audioset_music,d,valid,0.81234,1.0,0.5,",
        "near,False,e,train,audioset_music,f,valid,0.9,0.0,0.5,",
    ]
    (tmp_path / "openmic.csv").write_text(HEADER + "\n".join(lines) + "\n")
    seal(tmp_path / "openmic.csv", record=tmp_path / "openmic.json")
    return tmp_path / "openmic.json"


def test_numbers_and_leaks_as_printed(write_audits: Path) -> None:
    use_default_labels()
    printed = audits.read_audits([write_audits, write_audits.with_name("missing.json")])
    assert printed.rows == (
        ("OpenMIC", "itself", "twin", "0", "0", "0", "1,200", "2"),
        ("OpenMIC", "AudioSet Music", "local", "0", "3", "0", "", "1"),
    )
    assert printed.leaks == (
        ("a", "train", "b", "OpenMIC, test", "group in two splits: artist7", ""),
        ("c", "test", "d", "AudioSet Music, valid", "same recording", "0.81"),
    )
    assert len(printed.headings) == len(printed.rows[0])
    assert len(printed.leak_headings) == len(printed.leaks[0])
    assert printed.notes[-1].startswith("OpenMIC: 1 clip with less than 1.4 s")


def test_a_page_lists_a_limited_number_of_leaks(write_audits: Path) -> None:
    write_audits.with_suffix(".csv").write_text(HEADER + "group,True,a,train,openmic,b,test,,,,x\n" * 50)
    seal(write_audits.with_suffix(".csv"), record=write_audits)
    assert len(audits.read_audits([write_audits]).leaks) == audits.MAX_LEAKS


def test_without_audits_there_are_no_rows(tmp_path: Path) -> None:
    assert audits.read_audits([tmp_path / "openmic.json"]).rows == ()
