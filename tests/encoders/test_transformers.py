"""A local folder of a Hugging Face audio model is an encoder, frozen and fine-tuned."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers

from tests.corpora import write_corpus
from tests.encoders import external
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import transformers as level

FAMILIES = ("wav2vec2", "hubert", "ast", "whisper", "clap")


@pytest.fixture(scope="module", params=FAMILIES)
def options(request, tmp_path_factory):
    return external.write_transformers(tmp_path_factory.mktemp("models"), request.param)


def test_a_folder_runs_frozen_and_fine_tuned(options, tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=10, seconds=1.2)
    trials = external.run_commands("transformers", options, corpus, tmp_path, scenarios=("frozen", "fine_tuned"))
    assert all(table["value"].notna().all() for table in trials.values())


def test_an_embedding_is_the_mean_of_a_layer_of_the_normalised_audio(tmp_path):
    options = external.write_transformers(tmp_path, "wav2vec2")
    audio = torch.randn(2, 16000, generator=torch.Generator().manual_seed(0)) * 5 + 1
    network = transformers.Wav2Vec2Model.from_pretrained(options["path"])
    scaled = (audio - audio.mean(1, keepdim=True)) / audio.std(1, correction=0, keepdim=True)
    outputs = network(scaled, output_hidden_states=True).hidden_states
    encoders = {layer: level.build(level.Options(**options, layer=layer)) for layer in (0, 1, -1, "weighted")}
    for layer in (0, 1, -1):
        torch.testing.assert_close(encoders[layer](audio)[..., 0], outputs[layer].mean(1), atol=1e-5, rtol=1e-4)
    everything = torch.cat([output.mean(1) for output in outputs], dim=1)
    torch.testing.assert_close(encoders["weighted"](audio)[..., 0], everything, atol=1e-5, rtol=1e-4)


def test_a_head_learns_the_weight_of_each_layer(tmp_path):
    options = external.write_transformers(tmp_path, "hubert") | {"layer": "weighted"}
    corpus = write_corpus(tmp_path / "tones", clips=10, seconds=0.5)
    head = {"name": "weighted_layers", "options": {"layers": 3}}
    trials = external.run_commands(
        "transformers", options, corpus, tmp_path, scenarios=("frozen", "fine_tuned"), head=head
    )
    assert np.load(tmp_path / "tones.npy").shape == (10, 3 * 16)
    assert all(table["value"].notna().all() for table in trials.values())
    head["options"]["layers"] = 5
    with pytest.raises(UserError, match=r"48 values is not that of 5 layers: correct `layers` of the head"):
        external.run_commands("transformers", options, corpus, tmp_path, scenarios=("frozen",), head=head)


def drop_weight(folder):
    network = transformers.Wav2Vec2Model.from_pretrained(folder)
    state = {name: value for name, value in network.state_dict().items() if "layers.1.attention.q_proj" not in name}
    network.save_pretrained(folder, state_dict=state)


def ask_for_code(folder):
    config = json.loads((folder / "config.json").read_text())
    names = {"AutoConfig": "own.Config", "AutoModel": "own.Model"}
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "own", "auto_map": names}))


MISTAKES = {
    "no folder": (None, {"path": "absent/folder"}, "absent/folder: there is no such folder"),
    "another rate": (None, {"sample_rate": 22050}, "the network reads 16000 Hz, and the config states 22050 Hz"),
    "no such layer": (None, {"layer": 3}, "the network has no layer 3: choose one of 0 to 2, or weighted"),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), {}, "cannot be used as an encoder"),
    "damaged weights": (
        lambda folder: (folder / "model.safetensors").write_bytes(b"no weights"),
        {},
        "cannot be used as an encoder: SafetensorError",
    ),
    "lost weights": (drop_weight, {}, r"lacks 2 weights of its network, first encoder.layers.1.attention.q_proj.bias"),
    "own code": (ask_for_code, {}, "trust_remote_code"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake, tmp_path):
    change, more, message = MISTAKES[mistake]
    options = external.write_transformers(tmp_path)
    if change:
        change(tmp_path / "wav2vec2")
    with pytest.raises(UserError, match=message) as refused:
        level.build(level.Options(**options | more))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("family", "window"), [("ast", "0.5"), ("whisper", "1"), ("clap", "1")])
def test_padding_never_enters_an_embedding(family, window, tmp_path):
    options = external.write_transformers(tmp_path, family)
    for seconds in (None, 0.3, 2.0):
        with pytest.raises(UserError, match=rf"reads windows of {window} s .* state `seconds: {window}`"):
            level.build(level.Options(**options | {"seconds": seconds}))


def test_another_version_of_the_package_is_another_encoder(tmp_path):
    options = level.Options(**external.write_transformers(tmp_path))
    (file,) = [path for path in level.content(options) if path.name == "METADATA"]
    assert f"\nVersion: {transformers.__version__}\n" in file.read_text(encoding="utf-8")


def test_another_file_of_the_folder_is_another_encoder(tmp_path):
    options = level.Options(**external.write_transformers(tmp_path))
    before = list(level.content(options))
    assert {"config.json", "preprocessor_config.json", "model.safetensors", "METADATA"} == {
        path.name for path in before
    }
    (tmp_path / "wav2vec2" / "modeling_own.py").write_text("")
    (tmp_path / "wav2vec2" / "README.md").write_text("")
    assert {path.name for path in level.content(options)} - {path.name for path in before} == {"modeling_own.py"}
