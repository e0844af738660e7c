"""A module with the HEAR API is an encoder; without gradients it stays frozen."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest
import torch

from tests.corpora import write_corpus
from tests.encoders import external
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import hear


def test_it_runs_frozen_and_fine_tuned(tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=10, seconds=0.6)
    options = external.write_hear(tmp_path)
    trials = external.run_commands("hear", options, corpus, tmp_path, scenarios=("frozen", "fine_tuned"))
    assert all(table["value"].notna().all() for table in trials.values())


@pytest.mark.parametrize("detach", [".detach()", ".round()", ".detach().double().numpy()"])
def test_it_is_not_fine_tuned_unless_gradients_reach_it(detach, tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=10, seconds=0.6)
    options = external.write_hear(tmp_path, detach=detach)
    external.run_commands("hear", options, corpus, tmp_path, scenarios=("frozen",))
    with pytest.raises(UserError, match="no gradient of the loss reaches the encoder, so it cannot be fine-tuned"):
        external.run_commands("hear", options, corpus, tmp_path, scenarios=("fine_tuned",))


def test_modules_of_one_name_in_two_folders_are_two_encoders(tmp_path):
    built = []
    for name, detach in (("a", ""), ("b", ".detach()"), ("a", "")):
        (tmp_path / name).mkdir(exist_ok=True)
        built.append(hear.build(hear.Options(**external.write_hear(tmp_path / name, detach=detach))))
    assert [encoder.encode(torch.ones(1, 16000)).requires_grad for encoder in built] == [True, False, True]


def test_weights_of_a_file_are_loaded(tmp_path):
    options = external.write_hear(tmp_path)
    encoder = hear.build(hear.Options(**options))
    state = {name: value + 1 for name, value in encoder.network.state_dict().items()}
    torch.save(state, tmp_path / "weights.pt")
    loaded = hear.build(hear.Options(**options, path=str(tmp_path / "weights.pt")))
    torch.testing.assert_close(dict(loaded.network.state_dict()), state)


MISTAKES = {
    "no module": ({"module": "absent_module"}, "needs absent_module, and no module absent_module is installed"),
    "none stated": ({}, "needs the option `module`"),
    "a file": ({"module": "./vqt.py"}, "a dotted name such as hearbaseline.vqt, not './vqt.py'"),
    "not in the folder": ({"module": "absent", "folder": "here"}, "no module absent is in here"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_module_that_is_not_there_is_one_line_when_planned(mistake):
    options, message = MISTAKES[mistake]
    with pytest.raises(UserError, match=message):
        list(hear.content(hear.Options(**options)))


def test_a_module_of_another_api_is_one_line():
    with pytest.raises(UserError, match="json has no load_model and no get_scene_embeddings"):
        hear.build(hear.Options(module="json"))


def test_files_and_version_of_the_package_identify_it_without_an_import():
    names = [path.name for path in hear.content(hear.Options(module="timm.models"))]
    assert {"__init__.py", "vision_transformer.py", "METADATA"} <= {*names}
    assert len(names) == len(list(hear.content(hear.Options(module="timm"))))


def test_weights_in_its_package_or_beside_it_identify_it_too(tmp_path):
    package = tmp_path / "tagger"
    (package / "weights" / "__pycache__").mkdir(parents=True)
    files = ["tagger/__init__.py", "tagger/weights/a.tflite", "model.safetensors", "config.json"]
    for name in (*files, "tagger/weights/__pycache__/b.pyc", "mine.yaml", "labels.txt", "data.json"):
        (tmp_path / name).touch()
    options = hear.Options(module="tagger", folder=str(tmp_path), files=(str(tmp_path / "labels.txt"),))
    found = [path.relative_to(tmp_path).as_posix() for path in hear.content(options)]
    assert sorted(found) == sorted([*files, "labels.txt"])


@pytest.mark.slow
def test_a_module_that_somebody_else_wrote_runs_frozen(tmp_path):
    """Evaluate `hearbaseline.vqt`; other modules of that package need librosa of 2021, TensorFlow or SpeechBrain."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "1"]
    fetched = subprocess.run(
        [*command, "--dest", str(tmp_path), "hearbaseline==2021.1.1"], capture_output=True, text=True, check=False
    )
    if fetched.returncode:
        pytest.skip(f"pip finds no packages: {fetched.stderr.strip().splitlines()[-1]}")
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as archive:
        archive.extractall(tmp_path / "packages")
    corpus = write_corpus(tmp_path / "tones", clips=10, seconds=1.0, sample_rate=44100)
    options = {"module": "hearbaseline.vqt", "folder": str(tmp_path / "packages"), "sample_rate": 44100}
    assert "METADATA" in {path.name for path in hear.content(hear.Options(**options))}
    trials = external.run_commands("hear", options, corpus, tmp_path, scenarios=("frozen",))
    assert trials["frozen"]["value"].notna().all()
