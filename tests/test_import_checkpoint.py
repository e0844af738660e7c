"""An imported checkpoint serves like an encoder that was trained here."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.checkout import REPOSITORY
from tests.corpora import write_corpus
from workflow_scripts import embed, evaluate, import_checkpoint, status
from workflow_scripts.checkpoints.encoder_file import load_encoder
from workflow_scripts.configuration.load import load
from workflow_scripts.core import provenance
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry
from workflow_scripts.planning.plan import Plan
from workflow_scripts.report import costs

OPTIONS = {"pase": {"embedding": 16, "width": 0.1}, "pase_plus": {"embedding": 16, "width": 0.1, "rnn_layers": 2}}


@pytest.fixture(params=OPTIONS)
def name(request):
    return request.param


@pytest.fixture
def published(name, tmp_path):
    torch.manual_seed(0)
    level = registry.load("encoder", name)
    path = tmp_path / "FE_e199.ckpt"
    torch.save({"step": 3, "state_dict": level.build(registry.options(level, OPTIONS[name])).state_dict()}, path)
    return path


def run(name, published, output, *more):
    import_checkpoint.main(["--encoder", name, "--checkpoint", str(published), "--output", str(output), *more])
    return output / "encoder.safetensors"


def test_the_weights_arrive_with_the_options_of_the_file(name, published, tmp_path):
    encoder_file = run(name, published, tmp_path / "imported")
    encoder = load_encoder(encoder_file, name=name, options=OPTIONS[name])
    wanted = torch.load(published, weights_only=True)["state_dict"]
    torch.testing.assert_close(encoder.state_dict(), wanted, rtol=0, atol=0)
    assert sorted(path.name for path in encoder_file.parent.iterdir()) == ["encoder.safetensors", "record.json"]


def test_the_same_file_gives_the_same_bytes(name, published, tmp_path):
    first, second = (run(name, published, tmp_path / folder).read_bytes() for folder in ("first", "second"))
    assert first == second


def test_the_record_says_where_the_weights_come_from(name, published, tmp_path):
    run(name, published, tmp_path / "imported", "--code", "c0de")
    record = json.loads((tmp_path / "imported" / "record.json").read_text())
    assert record["checkpoint"] == {
        "file": "FE_e199.ckpt",
        "sha256": hashlib.sha256(published.read_bytes()).hexdigest(),
        "format": "dict with state_dict",
    }
    assert record["config"] == {"encoder": {"name": name, "options": OPTIONS[name]}}
    assert (record["code"], record["data"]) == ("c0de", {})
    assert record["config_digest"] == provenance.digest(record["config"])
    assert len(costs.read_records("import_checkpoint", tmp_path / "imported" / "record.json", {})) == 1


def test_status_counts_a_planned_import_as_done(name, published, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    entry = {"encoder": name, "path": str(published), "options": OPTIONS[name]}
    config = tmp_path / "official.yaml"
    trim = {"wu2021_fig2": {"checkpoints": ["official"]}}
    studies = {"studies": ["wu2021_fig2"], "trim": trim}
    config.write_text(json.dumps({"checkpoints": {"official": entry}, **studies}))
    configs = [REPOSITORY / "config" / "smoke.yaml", config]
    plan = Plan(*load([REPOSITORY / "config" / "config.yaml", *configs], folder=REPOSITORY / "config"))
    (planned,) = plan.imported_runs
    job, output = plan.jobs.import_checkpoint(planned), Path(plan.layout.encoder(planned)).parent
    flags = ["--checkpoint", str(published), "--output", str(output)]
    import_checkpoint.main(["--config", job.config, "--code", job.code, *flags])
    with pytest.raises(SystemExit):  # other jobs are missing
        status.main(["--configfile", *map(str, configs)])
    text = capsys.readouterr().out
    assert re.search(r"^\W*import_checkpoint\W+1\W+1\W+0\W", text, re.MULTILINE), text
    assert "stale: " not in text


def test_an_import_of_other_code_than_was_planned_is_refused(published, tmp_path):
    config = json.dumps({"encoder": {"name": "pase"}, "checkpoint": "official", "file": None})
    flags = ["--checkpoint", str(published), "--output", str(tmp_path / "imported")]
    planned = json.loads(config) | {"file": "0" * 64}
    with pytest.raises(UserError, match="was replaced after this job was planned: nothing was written"):
        import_checkpoint.main(["--config", json.dumps(planned), "--code", "c", *flags])
    with pytest.raises(UserError, match="--checkpoint is missing: name the file to import as pase"):
        import_checkpoint.main(["--config", json.dumps(planned), "--code", "c", *flags[2:]])
    with pytest.raises(UserError, match="the code of import_checkpoint was edited"):
        import_checkpoint.main(["--config", config, "--code", "0123456789abcdef", *flags])
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize("external", ["module", "transformers", "torchaudio_bundle"])
def test_an_external_encoder_has_its_path_among_its_options(external, tmp_path):
    flags = ["--encoder", external, "--output", str(tmp_path / "imported")]
    with pytest.raises(UserError, match=f"encoder {external} needs `path`, its file or folder"):
        import_checkpoint.main(flags)
    with pytest.raises(UserError, match="reads no --checkpoint: state its file or folder in --options, as `path`"):
        import_checkpoint.main([*flags, "--checkpoint", "tiny_encoder.py"])


def test_without_a_digest_the_code_of_script_and_encoder_counts(name, published, tmp_path):
    run(name, published, tmp_path / "imported")
    record = json.loads((tmp_path / "imported" / "record.json").read_text())
    assert record["code"] == provenance.code_digest("import_checkpoint", chosen=[registry.module_name("encoder", name)])


def test_it_is_embedded_and_evaluated_like_an_encoder_trained_here(name, published, tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=10, seconds=0.5)
    encoder_file = run(name, published, tmp_path / "imported")
    choice = {"name": name, "options": OPTIONS[name]}
    common = ["--code", "c0de", "--corpus", str(corpus.folder)]

    config = {"encoder": choice, "seed": 0, "dataset": "tones"}
    embeddings = tmp_path / "tones.npy"
    flags = ["--config", json.dumps(config), "--output", str(embeddings), "--encoder-file", str(encoder_file)]
    embed.main([*common, *flags])
    encoder = load_encoder(encoder_file, **choice)
    with torch.no_grad():
        alone = encoder.pool(encoder(torch.from_numpy(corpus.cut(3))[None]))[0]
    np.testing.assert_allclose(np.load(embeddings)[3], alone, atol=1e-5)

    factors = {"corpus": "published", "encoder": name, "workers": "published", "weighting": "equal"}
    factors |= {"augmentation": "none", "recipe": "published", "pretrain_seed": 0, "dataset": "tones", "head": "linear"}
    for scenario, source in (("frozen", ["--embeddings", str(embeddings)]), ("fine_tuned", flags[-2:])):
        job = {
            "encoder": choice,
            "head": {"name": "linear", "options": {}},
            "scenario": scenario,
            "fraction": "100pct",
            "trials": 1,
            "training": {"learning_rate": 0.01, "batch": 4, "max_epochs": 1},
            "factors": factors | {"scenario": scenario, "fraction": "100pct", "protocol": "wu2021"},
        }
        output = tmp_path / scenario
        evaluate.main([*common, "--config", json.dumps(job), "--output", str(output), *source])
        assert pd.read_csv(output / "trials.csv")["value"].notna().all()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--options", '{"embedding": 8}'], r"FE_e199.ckpt cannot be imported as pase(_plus)?: it holds embedding 16"),
        (["--options", "{embedding"], "--options: not JSON"),
        (["--options", "[1]"], "--options: give a JSON object"),
        (["--encoder", "handcrafted"], "encoder handcrafted has no published checkpoints: choose one of cpc, "),
        (["--encoder", "wavenet"], "unknown encoder 'wavenet'; allowed"),
        (["--checkpoint", "absent.ckpt"], "absent.ckpt cannot be read: there is no such file"),
    ],
)
def test_a_wrong_command_line_ends_in_one_line_and_leaves_nothing(name, published, tmp_path, more, message):
    with pytest.raises(UserError, match=message):
        run(name, published, tmp_path / "imported", *more)
    assert not (tmp_path / "imported").exists()
