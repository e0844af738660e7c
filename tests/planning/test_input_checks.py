"""Planning reports mistakes that would end a job after hours: folders, csv, splits, classes, checkpoints, batches."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.checkout import REPOSITORY
from workflow_scripts import plan as plan_command
from workflow_scripts.configuration.load import load
from workflow_scripts.configuration.origin import ConfigOrigin
from workflow_scripts.configuration.yaml_files import read_yaml
from workflow_scripts.planning.input_checks import Findings, check_inputs
from workflow_scripts.planning.plan import Plan

CONFIGS = REPOSITORY / "config"
GIGABYTE = 10**9
HEADER = "path,labels,split,group\n"
OWN = {
    "scale": "mine",
    "data": "data",
    "trim": {"own_recordings": {"dataset": ["labelled"]}},
    "datasets": {
        "unlabelled": {"path": "recordings/unlabelled"},
        "labelled": {
            **{"loader": "folder", "source": "local", "path": "recordings/labelled"},
            "options": {"labels": "folders"},
        },
    },
}
CSV: dict[str, Any] = {
    "datasets": {"labelled": {"options": {"labels": "csv", "csv": "recordings/labelled/labels.csv"}}}
}


@pytest.fixture(autouse=True)
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of recordings whose audio nobody reads: 40 without labels, and three of each of two classes."""
    monkeypatch.chdir(tmp_path)
    names = [f"unlabelled/{number}.wav" for number in range(40)]
    for name in [*names, *(f"labelled/{kind}/{number}.wav" for kind in "ab" for number in range(3))]:
        (tmp_path / "recordings" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "recordings" / name).touch()
    return tmp_path / "recordings"


def write(name: str, content: dict[str, Any]) -> Path:
    Path(name).write_text(yaml.safe_dump(content), encoding="utf-8")
    return Path(name)


def check(*configs: dict[str, Any], base: str = "own_recordings.yaml", memory: int | None = None) -> Findings:
    """Check the inputs of own recordings, with these configs over the one that ships."""
    given = [write(f"mine{place}.yaml", content) for place, content in enumerate(configs)]
    files = [CONFIGS / "config.yaml", CONFIGS / base, *given]
    plan = Plan(*load(files, folder=CONFIGS))
    return check_inputs(plan, ConfigOrigin([(file, read_yaml(file)) for file in files]), memory=memory)


def labels(*rows: str) -> str:
    return HEADER + "".join(f"{row}\n" for row in rows)


def test_good_folders_have_no_findings() -> None:
    assert check(OWN, memory=8 * GIGABYTE).lines() == []


def path(of: str, place: str) -> dict[str, Any]:
    return {"datasets": {of: {"path": place}}}


FOLDER_MISTAKES = {
    "misspelt": (
        path("labelled", "recordings/labeled"),
        r"labelled: path: .*: no such folder \(did you mean recordings/l",
    ),
    "nowhere": (path("unlabelled", "/no/such"), r"mine1.yaml: datasets.unlabelled: path: /no/such: no such folder$"),
    "in a home that is not there": (path("unlabelled", "~/no/such"), r"unlabelled: path: /.*/no/such: no such folder"),
    "an archive": (path("unlabelled", "audio.zip"), r"audio.zip is a file: give the folder .* unpack an archive"),
    "empty": (path("unlabelled", "empty"), r"empty is an empty folder"),
    "without audio": (path("unlabelled", "texts"), r"texts holds no audio files"),
    "without folders of classes": (path("labelled", "recordings/unlabelled"), r"one folder per class"),
    "of one class": (path("labelled", "one"), r"one class, a: nothing can be told apart"),
    "of two clips": (path("labelled", "two"), r"no clips in (valid|train|test).*: evaluation needs train, valid, test"),
}


@pytest.mark.parametrize("mistake", FOLDER_MISTAKES)
def test_a_folder_that_cannot_be_used_is_one_line(mistake: str) -> None:
    for name in ("empty", "texts", "one/a", "two/a", "two/b"):
        Path(name).mkdir(parents=True)
    for name in ("audio.zip", "texts/notes.txt", *(f"one/a/{n}.wav" for n in range(9)), "two/a/x.wav", "two/b/x.wav"):
        Path(name).touch()
    change, message = FOLDER_MISTAKES[mistake]
    (line,) = check(OWN, change).mistakes
    assert re.search(message, line), line
    assert "\n" not in line


def test_a_folder_that_only_a_shipped_config_states_is_told_with_what_to_state_instead() -> None:
    library = {"library": {"loader": "folder", "source": "local", "path": "songs"}}
    renamed = {**OWN, "datasets": library | {"labelled": OWN["datasets"]["labelled"]}}
    Path("recordings/unlabelled").rename("songs")
    (line,) = check(renamed).mistakes
    assert "config/own_recordings.yaml: datasets.unlabelled: path: recordings/unlabelled: no such folder" in line
    assert line.endswith(
        "; state your folder in datasets.unlabelled.path of your config, or choose another with "
        "trim.own_recordings.corpus"
    )
    trimmed = {"trim": {"own_recordings": {"dataset": ["labelled", "styles"]}}}
    (line,) = check(OWN, path("unlabelled", "songs"), trimmed).mistakes
    assert line.endswith("datasets.styles.path of your config, or choose another with trim.own_recordings.dataset")
    chosen = {"trim": {"own_recordings": {"corpus": ["library"]}}}
    assert not check(renamed, chosen).lines()


ROWS = [f"{kind}/{number}.wav,{kind}" for kind in "ab" for number in range(3)]
SPLITS = ("train", "valid", "test")
CSV_MISTAKES = {
    "another column": ("file,labels\na/0.wav,a\n", r"labels.csv has no column path.*file"),
    "unknown split": (labels(*(f"{row},tset," for row in ROWS)), r"split 'tset'"),
    "no split to test on": (
        labels(*(f"{row},{SPLITS[place % 2]}," for place, row in enumerate(ROWS))),
        r"mine1.yaml: datasets.labelled: no clips in test: evaluation needs train, valid, test",
    ),
    "everything is test": (labels(*(f"{row},test," for row in ROWS)), r"no clips in train"),
    "one class": (
        labels(*(f"{row.replace(',b', ',a')},{SPLITS[place % 3]}," for place, row in enumerate(ROWS))),
        r"one class, a",
    ),
    "a group in two splits": (
        labels(*(f"{row},{SPLITS[place % 3]},me" for place, row in enumerate(ROWS))),
        r"group me is in two splits",
    ),
    "files that are elsewhere": (labels("c/0.wav,a,train,"), r"none of the 1 files .* the first is 'c/0.wav'"),
    "nothing": ("", r"labels\.csv"),
    "a file twice": (labels(*(f"{row},train," for row in (ROWS[0], ROWS[0]))), r"twice"),
}


@pytest.mark.parametrize("mistake", CSV_MISTAKES)
def test_a_csv_that_cannot_be_used_is_one_line(mistake: str, recordings: Path) -> None:
    text, message = CSV_MISTAKES[mistake]
    (recordings / "labelled" / "labels.csv").write_text(text, encoding="utf-8")
    (line,) = check(OWN, CSV).mistakes
    assert re.search(message, line), line
    assert "\n" not in line


def test_a_label_that_every_clip_has_is_one_line(recordings: Path) -> None:
    rows = [f"{row.partition(',')[0]},music,{SPLITS[place % 3]}," for place, row in enumerate(ROWS)]
    (recordings / "labelled" / "labels.csv").write_text(labels(*rows), encoding="utf-8")
    multilabel = {"datasets": {"labelled": {"options": {"multilabel": True}}}}
    (line,) = check(OWN, CSV, multilabel).mistakes
    assert line.endswith("labelled: no class that some clips have and others lack: nothing can be told apart")


def test_a_csv_that_is_not_there_is_one_line() -> None:
    (line,) = check(OWN, CSV).mistakes
    assert "datasets.labelled: there is no csv recordings/labelled/labels.csv" in line


def test_a_split_that_is_drawn_is_told_before_the_first_job(recordings: Path) -> None:
    rows = "".join(f"{row}\n" for row in ROWS)
    (recordings / "labelled" / "labels.csv").write_text(f"path,labels\n{rows}", encoding="utf-8")
    notes = check(OWN, CSV).notes
    assert any(re.search(r"labelled: labels.csv has no column split: clips are split 70/15/15", note) for note in notes)


def test_all_mistakes_are_told_at_once() -> None:
    lines = check(OWN, path("labelled", "x"), path("unlabelled", "y"), {"recipes": {"short": {"batch": 50}}}).lines()
    assert len(lines) == 2, "the batch is compared with the clips of a folder that is there"


def test_a_corpus_without_clips_to_validate_on_is_told_unless_the_recipe_has_no_validation(recordings: Path) -> None:
    (recordings / "unlabelled" / "labels.csv").write_text(labels(*(f"{n}.wav,x,train," for n in range(40))))
    csv = {"datasets": {"unlabelled": {"options": {"labels": "csv", "csv": "labels.csv"}}}}
    (line,) = check(OWN, csv).mistakes
    assert "datasets.unlabelled: no clips in valid: pre-training needs train, valid" in line
    assert not check(OWN, csv, {"recipes": {"short": {"validation_batches": 0}}}).mistakes


def test_the_command_that_plans_tells_them_too(capsys: pytest.CaptureFixture[str]) -> None:
    given = [write("mine.yaml", OWN), write("x.yaml", path("labelled", "x"))]
    plan_command.main(["--configfile", str(CONFIGS / "own_recordings.yaml"), *map(str, given)])
    assert "prelude: x.yaml: datasets.labelled: path: x: no such folder" in capsys.readouterr().out


def test_data_that_was_acquired_and_moved_away_is_no_mistake(recordings: Path) -> None:
    Path("data/labelled").mkdir(parents=True)
    Path("data/labelled/acquired.json").write_text("{}", encoding="utf-8")
    recordings.joinpath("labelled").rename("archive")
    assert not check(OWN).lines()


def test_a_place_where_no_folder_can_be_made_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").touch()
    Path("dangling").symlink_to("nowhere")
    for place in ("file", "file/below", "dangling", "dangling/below"):
        (line,) = check(OWN, {"results": place}).mistakes
        assert re.search(r"mine1.yaml: results: .*(file|dangling) is no folder: choose another place", line)
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    lines = check(OWN, {"results": "sealed/results"}).mistakes
    assert f"mine1.yaml: results: no permission to write in {Path.cwd()}: choose another place" in lines[-1]


def test_a_checkpoint_that_is_not_there_is_one_line() -> None:
    Path("pase.ckpt").touch()
    config = {
        "checkpoints": {"theirs": {"encoder": "pase", "path": "pase.cpt"}},
        "trim": {"own_recordings": {"checkpoints": ["theirs"]}},
    }
    (line,) = check(OWN, config).mistakes
    assert "mine1.yaml: checkpoints.theirs.path: pase.cpt: no such file (did you mean pase.ckpt?)" in line


def test_a_checkpoint_may_lie_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(Path.cwd()))
    Path("pase.ckpt").touch()
    Path("tiny.py").touch()
    config = {
        "checkpoints": {
            "theirs": {"encoder": "pase", "path": "~/pase.ckpt"},
            "mine": {"encoder": "module", "path": "~/tiny.py", "options": {"files": ["~/pase.ckpt"]}},
        },
        "trim": {"own_recordings": {"checkpoints": ["theirs", "mine"]}},
    }
    assert check(OWN, config).mistakes == []
    files = [CONFIGS / "config.yaml", CONFIGS / "own_recordings.yaml", Path("mine0.yaml"), Path("mine1.yaml")]
    plan = Plan(*load(files, folder=CONFIGS))
    digests = [json.loads(plan.jobs.import_checkpoint(run).config)["file"] for run in plan.imported_runs]
    assert len(digests) == 2
    assert all(digests), "the files are found"


@pytest.mark.parametrize("encoder", ["module", "transformers", "torchaudio_bundle"])
def test_a_network_of_others_without_a_path_is_one_line(encoder: str) -> None:
    config = {
        "checkpoints": {"theirs": {"encoder": encoder}},
        "trim": {"own_recordings": {"checkpoints": ["theirs"]}},
    }
    assert check(OWN, config).mistakes == [f"checkpoints.theirs: encoder {encoder} needs `path`, its file or folder"]


def test_a_module_that_is_not_installed_is_one_line() -> None:
    config = {
        "checkpoints": {"theirs": {"encoder": "hear", "options": {"module": "absent.vqt"}}},
        "trim": {"own_recordings": {"checkpoints": ["theirs"]}},
    }
    (line,) = check(OWN, config).mistakes
    assert line.startswith("checkpoints.theirs: encoder hear needs absent.vqt, and no module absent is installed")


def test_copies_of_published_sets_that_are_not_there_are_named_with_their_folders() -> None:
    findings = check(base="config.yaml")
    assert findings.mistakes == []
    assert findings.absent["msd"] == Path("data/msd/copy")
    (line,) = findings.lines()
    assert line.startswith("note: no copy of a data set in ")
    assert "data/gtzan/copy (gtzan)" in line
    assert "\n" not in line
    assert findings.describe_copies(["openmic"]) == [], "it is downloaded"


GTZAN = {"datasets": {"gtzan": {"path": "copy"}}}


def put_gtzan(*names: str) -> None:
    for name in names:
        file = Path("copy") / name.split(".", maxsplit=1)[0] / f"{name}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def test_a_copy_of_a_published_set_without_a_split_is_told_before_the_run() -> None:
    put_gtzan("blues.00029", "blues.00030", "jazz.00000", "jazz.00001")
    (line,) = check(GTZAN, base="config.yaml").describe_copies(["gtzan"])
    assert "datasets.gtzan: no clips in " in line
    assert line.endswith("complete the copy")
    assert "\n" not in line


def test_a_copy_of_another_layout_is_told_before_the_run_and_stops_no_other_job() -> None:
    Path("copy").mkdir()
    Path("copy", "genres.tar.gz").touch()
    findings = check(GTZAN, base="config.yaml")
    assert findings.mistakes == []
    (line,) = findings.describe_copies(["gtzan"])
    assert "datasets.gtzan: copy holds " in line
    assert f"note: {line}" in findings.lines()


def test_a_copy_that_is_prepared_is_not_read_again() -> None:
    Path("copy").mkdir()
    Path("copy", "genres.tar.gz").touch()
    for rate in (16_000, 22_050, 44_100):
        facts = Path(f"results/corpora/gtzan/{rate}/corpus.json")
        facts.parent.mkdir(parents=True)
        facts.touch()
    assert check(GTZAN, base="config.yaml").faulty == {}


def recipe(**numbers: object) -> dict[str, Any]:
    return {"recipes": {"short": numbers}}


def test_a_batch_beyond_the_memory_is_told_and_one_in_parts_is_not() -> None:
    (line,) = check(OWN, recipe(batch=100_000), memory=24 * GIGABYTE).oversized
    assert "mine1.yaml: recipes.short.batch: needs at least 102 GB of memory, of 24 GB here" in line
    large = check(OWN, recipe(batch=100_000), memory=24 * GIGABYTE)
    assert line in large.lines()
    assert f"note: {line}" in large.lines(has_cluster=True), "other machines may have the memory"
    assert not check(OWN, recipe(batch=100_000, accumulate=1000), memory=24 * GIGABYTE).oversized
    assert not check(OWN, recipe(batch=100_000), memory=None).oversized


def test_a_batch_of_an_evaluation_beyond_the_memory_is_told() -> None:
    tuned = {"trim": {"own_recordings": {"scenario": ["fine_tuned"], "dataset": ["labelled"], "comparisons": []}}}
    numbers = {"protocols": {"wu2021": {"crop_seconds": 10_000}}}
    (line,) = check(OWN, tuned, numbers, memory=GIGABYTE).oversized
    assert "protocols.wu2021: batch of fine_tuned, linear: needs at least 61 GB" in line


def test_a_batch_of_more_chunks_than_clips_is_a_note_or_where_clips_are_compared_a_mistake() -> None:
    (line,) = check(OWN, recipe(batch=64)).lines()
    assert line.startswith("note: ")
    assert line.endswith(
        "64 chunks a batch, but unlabelled has 37 training clips: "
        "a batch holds several chunks of one clip; 37 or less avoids that"
    )
    contrast = {"trim": {"own_recordings_clmr": {"dataset": ["labelled"]}}}
    (line,) = check(OWN, contrast, recipe(batch=64), base="own_recordings_clmr.yaml").mistakes
    assert "lower it to 37 or less" in line


def test_chunks_longer_than_every_clip_are_a_mistake_where_lengths_are_stated() -> None:
    limited = {"datasets": {"unlabelled": {"clip_seconds": 3}}}
    (line,) = check(OWN, limited, recipe(chunk_seconds=60)).mistakes
    assert "recipes.short.chunk_seconds: 60 s is longer than any clip of unlabelled, 3 s" in line
    assert not check(OWN, limited, recipe(chunk_seconds=3)).lines()


#: configs that read recordings which do not come with the code
OF_RECORDINGS = {"own_recordings.yaml", "own_recordings_clmr.yaml", "reference.yaml"}


@pytest.mark.parametrize("name", sorted({file.name for file in CONFIGS.glob("*.yaml")} - OF_RECORDINGS))
def test_shipped_configs_need_nothing_but_copies(name: str) -> None:
    Path("config").symlink_to(CONFIGS)  # the smoke run imports one of its examples
    findings = check(base=name, memory=16 * GIGABYTE)
    assert not [*findings.mistakes, *findings.oversized]


def run(*arguments: str) -> list[str]:
    """Start the workflow; return the lines that begin with its name."""
    Path("config").symlink_to(CONFIGS)
    flags = ["--snakefile", str(REPOSITORY / "Snakefile"), "--cores=1", "--quiet=all", *arguments]
    result = subprocess.run(
        [sys.executable, "-m", "snakemake", *flags], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    return [line for line in result.stderr.splitlines() if line.startswith("prelude: ")]


@pytest.mark.slow
def test_a_dry_run_ends_with_the_mistake() -> None:
    files = [str(CONFIGS / "own_recordings.yaml"), str(write("mine.yaml", OWN | {"results": "results"}))]
    (line,) = run("-n", "--configfile", *files, str(write("path.yaml", path("labelled", "recordings/x"))))
    assert line == f"prelude: {Path.cwd()}/path.yaml: datasets.labelled: path: recordings/x: no such folder"


@pytest.mark.slow
def test_a_run_stops_before_its_first_job_where_a_copy_is_not_there() -> None:
    studies = {"studies": ["wu2021_fig2"], "trim": {"wu2021_fig2": {"dataset": ["extended_ballroom"]}}}
    lines = run("data/extended_ballroom/acquired.json", "--configfile", str(write("one.yaml", studies)))
    assert "data/extended_ballroom/copy" in lines[-1]
    assert "audioset_music" not in lines[-1], "the target does not need it"
    assert not Path("data").exists()
