"""Exports: files, card, the module with the interface of HEAR, ONNX, and mistakes."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pandas as pd
import pytest
import torch
import torchaudio
import yaml
from safetensors.torch import load_file

from tests.records import seal
from tests.report.aggregated_study import statistics
from tests.synthetic_results import Results, factors
from workflow_scripts import export
from workflow_scripts.checkpoints import export_encoder
from workflow_scripts.checkpoints.encoder_file import save_encoder
from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation.new_audio import embed_audio
from workflow_scripts.levels import registry
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.networks import hear_interface
from workflow_scripts.planning.runs import Run, path_of

#: package -> encoder, small options
ENCODERS = {
    "x_pase": ("pase", {"width": 0.1, "embedding": 16}),
    "x_pase_plus": ("pase_plus", {"width": 0.1, "embedding": 16}),
    **{
        f"x_samplecnn_{rate}": ("samplecnn", {"width": 0.05, "sample_rate": rate})
        for rate in (22050, 16000, 12000, 8000)
    },
    "x_cpc": ("cpc", {"width": 0.05}),
    "x_unet": ("unet", {"width": 0.1}),
    "x_magnitude": ("magnitude", {}),
    "x_handcrafted": ("handcrafted", {"pitch": False}),
    "x_sound_qualities": ("sound_qualities", {}),
    "x_musicnn": ("musicnn", {"layer": "penultimate"}),
}


def build(name, options):
    level = registry.load("encoder", name)
    torch.manual_seed(0)
    return level.build(registry.options(level, options)).eval()


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """Modules of all encoders with their interface, from one folder for each."""
    modules, path = {}, [*sys.path]
    for package, (name, options) in ENCODERS.items():
        folder = tmp_path_factory.mktemp(package)
        flags = ["--encoder", name, "--options", json.dumps(options), "--to", str(folder)]
        export.main([*flags, "--hear", "--name", package])
        sys.path.insert(0, str(folder))
        modules[package] = importlib.import_module(package)
    yield modules
    sys.path[:] = path


def test_these_are_all_encoders_of_prelude():
    levels = {name: registry.load("encoder", name) for name in registry.names("encoder")}
    assert {name for name, _ in ENCODERS.values()} == {
        name for name, level in levels.items() if not registry.fact(level, "EXTERNAL")
    }


@pytest.mark.parametrize("package", ENCODERS)
def test_a_scene_s_embedding_is_that_of_evaluation(exports, package):
    encoder, model = build(*ENCODERS[package]), exports[package].load_model()
    audio = torch.randn(2, 7 * model.sample_rate, generator=torch.Generator().manual_seed(0)) * 0.1
    with torch.no_grad():
        embeddings = exports[package].get_scene_embeddings(audio, model)
    inputs = hear_interface.resample(audio, model.sample_rate, encoder.sample_rate)
    expected = torch.stack([embed_audio(encoder, clip.numpy()).mean(0) for clip in inputs])
    torch.testing.assert_close(embeddings, expected, rtol=1e-4, atol=1e-5)
    assert embeddings.shape == (2, model.scene_embedding_size)


@pytest.fixture(scope="module")
def validator(tmp_path_factory):
    """HEAR's validator; skips where the package index cannot be reached.

    pip would choose 2021.0.2 for this Python, which lacks the check of the last time stamp.
    """
    folder = tmp_path_factory.mktemp("validator")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1", "install", "--quiet"]
    package = ["--no-deps", "--ignore-requires-python", "--no-compile", "hearvalidator==2021.0.6"]
    installed = subprocess.run([*pip, *package, "--target", str(folder)], capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"pip finds no hearvalidator: {(installed.stderr.strip().splitlines() or ['no message'])[-1]}")
    # it imports TensorFlow only to tell models apart
    stand_in = types.ModuleType("tensorflow")
    stand_in.Module = type("Module", (), {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tensorflow", stand_in)
        patch.syspath_prepend(str(folder))
        yield importlib.import_module("hearvalidator.validate")


@pytest.mark.filterwarnings(
    "ignore:.*rounding errors", "ignore:.*interval between timestamps", "ignore:Your timestamps"
)
def test_hear_s_validator_accepts_every_export(exports, validator):
    for package in exports:
        validator.ValidateModel(package, "", device="cpu")()


def test_hear_s_validator_refuses_times_behind_the_audio(exports, validator, monkeypatch):
    real = exports["x_cpc"].get_timestamp_embeddings

    def late(audio, model):
        frames, times = real(audio, model)
        return frames, times + 100

    monkeypatch.setattr(exports["x_cpc"], "get_timestamp_embeddings", late)
    with pytest.raises(validator.ModelError, match="timestamps end at"):
        validator.ValidateModel("x_cpc", "", device="cpu")()


@pytest.mark.parametrize("package", ["x_cpc", "x_unet", "x_samplecnn_8000", "x_pase", "x_musicnn"])
def test_times_are_counted_in_samples_over_crops_and_do_not_drift(exports, package):
    encoder, model = build(*ENCODERS[package]), exports[package].load_model()
    seconds = 20
    audio = torch.randn(1, seconds * model.sample_rate, generator=torch.Generator().manual_seed(0)) * 0.1
    with torch.no_grad():
        frames, times = exports[package].get_timestamp_embeddings(audio, model)
    hop = encoder.hop / encoder.sample_rate * 1000
    torch.testing.assert_close(times[0].double(), (torch.arange(times.shape[1]) + 0.5).double() * hop)
    assert seconds * 1000 - hop < times[0, -1] <= seconds * 1000
    assert frames.shape == (1, times.shape[1], model.timestamp_embedding_size)
    # a frame in the second crop or window is that of the same audio
    inputs = hear_interface.resample(audio, model.sample_rate, encoder.sample_rate)
    if encoder.crop_length:
        per_crop = min(encoder(inputs[:, : encoder.crop_length]).shape[-1], encoder.crop_length // encoder.hop)
        start = per_crop * encoder.hop
        with torch.no_grad():
            expected = encoder(inputs[:, start : start + encoder.crop_length])[0, : model.timestamp_embedding_size, 0]
        torch.testing.assert_close(frames[0, per_crop], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("package", ENCODERS)
def test_a_package_needs_nothing_of_prelude_and_says_what_it_needs(exports, package):
    folder = Path(exports[package].__file__).parent
    sources = [path.read_text(encoding="utf-8") for path in folder.rglob("*.py")]
    assert len(sources) > 5
    assert not any("workflow_scripts" in text for text in sources)
    core = {path.name for path in (folder / "core").glob("*.py")}
    assert core == {"__init__.py", "errors.py"}
    config = json.loads((folder.parent / "config.json").read_text(encoding="utf-8"))
    allowed = {"numpy", "safetensors", "torch"}
    features = {"librosa", "numba", "scipy", "torchaudio"}
    allowed |= {"x_handcrafted": features, "x_sound_qualities": features, "x_musicnn": {"librosa"}}.get(package, set())
    assert {*config["requires"]} <= allowed
    assert ", ".join(config["requires"]) in (folder.parent / "README.md").read_text(encoding="utf-8")


def test_gradients_reach_the_weights_through_the_interface(exports):
    model = exports["x_cpc"].load_model()
    exports["x_cpc"].get_scene_embeddings(torch.randn(2, 8000), model).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(("before", "after"), [(16000, 12000), (16000, 8000), (22050, 16000), (16000, 16000)])
def test_resampling_is_torchaudio_s(before, after):
    audio = torch.randn(2, 5000, generator=torch.Generator().manual_seed(0))
    settings = {"lowpass_filter_width": hear_interface.ZEROS, "rolloff": hear_interface.ROLLOFF}
    expected = torchaudio.functional.resample(audio, before, after, **settings)
    torch.testing.assert_close(hear_interface.resample(audio, before, after), expected, rtol=0, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pase", "samplecnn", "cpc"])
def test_onnx_agrees_with_torch(name, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    options = {"pase": {"width": 0.1, "embedding": 16}, "samplecnn": {"width": 0.05}, "cpc": {"width": 0.05}}[name]
    encoder = export_encoder.ExportedEncoder.untrained(name, options, seed=0)
    network = encoder.network
    if name == "cpc":
        network.crop_length = 4800  # the recurrent layer is written out for each frame: its 124 take minutes
    about = export_encoder.write_onnx(tmp_path, encoder)["onnx"]
    assert about["difference"] <= 1e-5
    audio = torch.randn(5, about["samples"], generator=torch.Generator().manual_seed(0)) * 0.1
    (computed,) = onnxruntime.InferenceSession(tmp_path / about["file"]).run(None, {"audio": audio.numpy()})
    with torch.no_grad():
        expected = network.pool(network(audio))
    assert (torch.from_numpy(computed) - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder of a pre-trained PASE, with the statistics of its results beside."""
    folder = tmp_path_factory.mktemp("results")
    results = Results(folder)
    levels = factors("pase", "frozen", "openmic")
    for name in ("frozen", "fine_tuned"):
        path = results.add(factors("pase", name, "openmic"), [0.5, 0.52, 0.55])
        table = pd.read_csv(path, dtype=str)
        pd.concat([table, table.drop_duplicates("trial").assign(metric="classes_skipped", value="17")]).to_csv(
            path, index=False
        )  # no measure
    results.add(factors("random", "frozen", "openmic"), [0.3, 0.31, 0.32])
    statistics(results)
    path = folder / "pretrained" / path_of(Run(**{factor: levels[factor] for factor in PRETRAINING}))
    write_run(path)
    return path


def write_run(folder, **content):
    level, small = registry.load("encoder", "pase"), {"width": 0.1, "embedding": 16}
    file = folder / "encoder.safetensors"
    save_encoder(file, build("pase", small), name="pase", options=registry.options(level, small), code="c0de")
    seal(file, **{"config": {"corpus": "audioset_music"}} | content)


def head_of(folder):
    _, head, body = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head), body


def test_the_card_has_the_head_that_hubs_read_and_the_numbers_of_the_tables(run, tmp_path):
    export.main(["--run", str(run), "--to", str(tmp_path), "--license", "cc-by-4.0"])
    head, body = head_of(tmp_path)
    assert (head["license"], head["datasets"]) == ("cc-by-4.0", ["audioset_music"])
    (model,) = head["model-index"]
    cells = pd.read_csv(run.parents[7] / "statistics" / "cells.csv")
    assert "classes_skipped" in set(cells["metric"])
    cells = cells[(cells["encoder"] == "pase") & (cells["metric"] != "classes_skipped")]
    metrics = [result["metrics"][0] for result in model["results"]]
    assert [metric["value"] for metric in metrics] == pytest.approx(cells["mean"].tolist(), abs=1e-6)
    low, high = zip(*(metric["args"]["confidence_interval"] for metric in metrics), strict=True)
    assert [*low, *high] == pytest.approx([*cells["ci_low"], *cells["ci_high"]], abs=1e-6)
    assert "| openmic | linear | fine_tuned | 100pct | wu2021 | macro F1 (%) | 52.3 |" in body
    assert "audioset_music" in body
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert (config["encoder"], config["sample_rate"], config["embedding_size"]) == ("pase", 16000, 16)
    weights = build("pase", {"width": 0.1, "embedding": 16}).state_dict()
    torch.testing.assert_close(load_file(tmp_path / "model.safetensors"), dict(weights))


def test_the_code_of_the_card_gives_embeddings(run, tmp_path, monkeypatch):
    export.main(["--run", str(run), "--to", str(tmp_path), "--hear", "--name", "y_pase"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    codes = [part.split("```")[0] for part in head_of(tmp_path)[1].split("```python\n")[1:]]
    shapes = []
    for code in codes:
        names = {"audio": torch.zeros(2, 16000)}
        exec(code, names)
        shapes.append(tuple(names["embeddings"].shape))
    assert shapes == [(2, 16), (2, 16)]


def test_without_tables_or_training_the_card_says_so(tmp_path, capsys):
    write_run(tmp_path / "run")
    export.main(["--run", str(tmp_path / "run"), "--to", str(tmp_path / "a")])
    assert "note: no tables of results beside" in capsys.readouterr().err
    head, body = head_of(tmp_path / "a")
    assert head["license"] == "other"
    assert "the tables of results have no number" in body
    export.main(["--encoder", "magnitude", "--to", str(tmp_path / "b")])
    head, body = head_of(tmp_path / "b")
    assert "datasets" not in head
    assert "not trained" in body


def test_the_card_marks_numbers_on_data_that_others_trained_the_encoder_on(tmp_path):
    results = Results(tmp_path)
    levels = factors("pase", "frozen", "openmic")
    for dataset in ("openmic", "gtzan"):
        results.add(levels | {"dataset": dataset}, [0.5, 0.52, 0.55])
    results.manifest["training_data"] = {"audioset_music": {"names": ["openmic", "msd"], "evaluated": ["openmic"]}}
    statistics(results)
    run = tmp_path / "pretrained" / path_of(Run(**{factor: levels[factor] for factor in PRETRAINING}))
    write_run(run, checkpoint={"file": "a.ckpt"})
    export.main(["--run", str(run), "--to", str(tmp_path / "out")])
    head, body = head_of(tmp_path / "out")
    assert "| openmic | linear | frozen | 100pct | wu2021 | macro F1 (%) | 52.3 ‡ |" in body
    assert "| gtzan | linear | frozen | 100pct | wu2021 | macro F1 (%) | 52.3 |" in body
    assert "‡ The encoder was trained on this data set by others" in body
    assert "imported from `a.ckpt`, trained on openmic, msd" in body
    (model,) = head["model-index"]
    assert {result["dataset"]["type"] for result in model["results"]} == {"gtzan"}


SUPERVISED = factors("pase", "supervised", "openmic")
IMPORTED = factors("pase", "fine_tuned", "openmic", workers="none", corpus="official")


@pytest.mark.parametrize(
    ("content", "title", "datasets", "words"),
    [
        ({"config": {"factors": SUPERVISED}}, "PASE, openmic", ["openmic"], "Trained on `openmic` with its labels"),
        (
            {"config": {"factors": IMPORTED}},
            "PASE, official and openmic",
            ["openmic"],
            "imported from `official`: see its publication for the data.\n\nTrained on `openmic` with its labels",
        ),
        ({"config": {}, "checkpoint": {"file": "a.ckpt"}}, "PASE, a.ckpt", None, "imported from `a.ckpt`"),
    ],
)
def test_the_card_names_all_that_the_encoder_learned_from(content, title, datasets, words, tmp_path):
    write_run(tmp_path / "run", **content)
    export.main(["--run", str(tmp_path / "run"), "--to", str(tmp_path / "out")])
    head, body = head_of(tmp_path / "out")
    assert head.get("datasets") == datasets
    assert f"\n# {title}\n" in body
    assert words in body
    assert "Nothing was learned" not in body


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "nowhere"], "nowhere/encoder.safetensors is missing: name a run that has finished"),
        (["--encoder", "pase", "--name", "a-b"], "no name of a Python module"),
        (["--encoder", "pase", "--name", "class"], "no name of a Python module"),
        (["--encoder", "pase", "--options", "[]"], "--options: give a JSON object"),
        (["--encoder", "module"], "is not part of Prelude"),
        (["--encoder", "pase", "--name", "numpy"], "the export would hide the Python module numpy: choose another"),
        (["--encoder", "pase", "--name", "math"], "the export would hide the Python module math"),
        (["--encoder", "pase", "--license", "CC BY 4.0"], "--license: 'CC BY 4.0' is no name that hubs read"),
        (["--encoder", "pase", "--license", ""], "--license: '' is no name"),
        (["--encoder", "pase", "--seed", "-1"], "--seed: -1 is not allowed"),
        (["--encoder", "pase", "--seed", str(2**64)], "--seed: 18446744073709551616 is not allowed"),
        (["--run", "nowhere", "--seed", "1"], "--options and --seed are those of --encoder"),
        (["--run", "nowhere", "--options", "{}"], "--options and --seed are those of --encoder"),
    ],
)
def test_a_mistake_is_one_line(arguments, message, tmp_path):
    with pytest.raises(UserError, match=message):
        export.main([*arguments, "--to", str(tmp_path / "out")])


def test_other_files_are_not_overwritten_and_an_earlier_export_is_replaced(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UserError, match="holds other files than an export: choose another folder"):
        export.main(["--encoder", "magnitude", "--to", str(tmp_path)])
    assert (tmp_path / "README.md").read_text() == "mine"
    folder = tmp_path / "export"
    export.main(["--encoder", "magnitude", "--to", str(folder), "--hear", "--name", "z_one"])
    export.main(["--encoder", "magnitude", "--to", str(folder), "--hear", "--name", "z_two"])
    names = {"LICENSE", "README.md", "config.json", "model.safetensors", "z_two"}
    assert {path.name for path in folder.iterdir()} == names


def test_tables_of_another_version_are_one_line(run, tmp_path):
    folder = tmp_path / "results"
    shutil.copytree(run.parents[7], folder)
    cells = folder / "statistics" / "cells.csv"
    pd.read_csv(cells).drop(columns="protocol").to_csv(cells, index=False)
    seal(cells, record=cells.with_name("summary.json"))
    with pytest.raises(UserError, match="no column protocol: of another version; run aggregate again"):
        export.main(["--run", str(folder / run.relative_to(run.parents[7])), "--to", str(tmp_path / "out")])


def test_a_missing_extra_is_named_and_the_folder_can_be_exported_into_again(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    flags = ["--encoder", "magnitude", "--to", str(tmp_path), "--hear"]
    with pytest.raises(UserError, match=r"pip install \.\[onnx\]"):
        export.main([*flags, "--onnx"])
    export.main(flags)
    assert (tmp_path / "README.md").is_file()
