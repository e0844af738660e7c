"""A class in a user's file is an encoder; mistakes in it end in one line."""

from __future__ import annotations

import json

import pytest
import torch

from tests.encoders import external
from workflow_scripts import import_checkpoint
from workflow_scripts.checkpoints.encoder_file import load_encoder
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import module

MISTAKES = {
    "another rate": (external.CLASS.replace("{rate}", "22050"), "reads 22050 Hz, and the config states 16000 Hz"),
    "another size": (external.CLASS.replace("{size}", "7"), r"gives shape \(2, 98, 64\), not \(batch, frames, 7\)"),
    "no facts": (external.CLASS.replace("output_dim", "size"), "Tiny states no output_dim: see docs/own-encoder.md"),
    "no class": ("import torch\n", "state `name`, a subclass of torch.nn.Module in the file; it has none"),
    "an error": ("import torch\n1 / 0\n", "cannot be used as an encoder: ZeroDivisionError"),
    "an error without a text": (
        "import torch\nassert 1 == 2\n",
        r"AssertionError: assert 1 == 2 \(.*tiny_encoder.py, line 2\)",
    ),
    "no Python": ("def :\n", "cannot be used as an encoder: SyntaxError"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake, tmp_path):
    text, message = MISTAKES[mistake]
    options = module.Options(**external.write_module(tmp_path, text=text))
    with pytest.raises(UserError, match=message) as refused:
        module.build(options)(torch.zeros(2, 16000))
    assert "\n" not in str(refused.value)


def test_a_file_may_define_dataclasses_of_settings(tmp_path):
    settings = "from __future__ import annotations\nfrom dataclasses import dataclass\n\n@dataclass\nclass Settings:\n"
    options = external.write_module(tmp_path, text=f"{settings}    width: int = 8\n{external.CLASS}")
    assert module.build(module.Options(**options))(torch.zeros(1, 16000)).shape == (1, 64, 1)


def test_a_file_may_import_another_one_beside_it(tmp_path):
    (tmp_path / "sizes_of_tiny_encoder.py").write_text("size = 64\n")
    text = "from sizes_of_tiny_encoder import size\n" + external.CLASS.replace(
        "output_dim = {size}", "output_dim = size"
    )
    encoder = module.build(module.Options(**external.write_module(tmp_path, text=text)))
    assert encoder(torch.zeros(1, 16000)).shape[1] == 64


def test_an_imported_class_gives_the_same_embeddings(tmp_path):
    options = external.write_module(tmp_path) | {"seconds": 1.0}
    arguments = ["--encoder", "module", "--options", json.dumps(options), "--output", str(tmp_path / "out")]
    import_checkpoint.main(arguments)
    encoder = load_encoder(tmp_path / "out" / "encoder.safetensors", name="module", options=options)
    audio = torch.randn(2, 40000, generator=torch.Generator().manual_seed(0))
    frames = encoder(audio)
    assert frames.shape == (2, 64, 2)  # the remainder is dropped
    torch.manual_seed(0)  # as the import did
    expected = module.build(module.Options(**options)).network(audio[:, 16000:32000]).mean(1)
    torch.testing.assert_close(frames[..., 1], expected)
    frames.sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_long_clips_are_encoded_in_pieces(tmp_path):
    encoder = module.build(module.Options(**external.write_module(tmp_path)))
    lengths = []
    encoder.network.register_forward_hook(lambda network, inputs, output: lengths.append(inputs[0].shape))
    with torch.no_grad():
        assert encoder(torch.zeros(1, 70 * 16000)).shape == (1, 64, 3)
        assert encoder(torch.zeros(1, 3 * 16000)).shape == (1, 64, 1)
    assert lengths == [(1, 70 * 16000 // 3)] * 3 + [(1, 3 * 16000)]  # one at a time: a long clip takes no more memory


@pytest.mark.parametrize("changed", ["tiny_encoder.py", "weights.txt"])
def test_no_job_runs_a_network_whose_files_changed_since_it_was_imported(changed, tmp_path):
    (tmp_path / "weights.txt").write_text("1", encoding="utf-8")
    options = external.write_module(tmp_path) | {"files": [str(tmp_path / "weights.txt")]}
    import_checkpoint.main(["--encoder", "module", "--options", json.dumps(options), "--output", str(tmp_path / "out")])
    file = tmp_path / changed
    file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(UserError, match="the files of encoder module changed since they were imported into"):
        load_encoder(tmp_path / "out" / "encoder.safetensors", name="module", options=options)


def test_files_that_change_after_planning_are_refused(tmp_path):
    options = external.write_module(tmp_path)
    config = {"encoder": {"name": "module", "options": options}, "checkpoint": "mine", "file": "0" * 16}
    with pytest.raises(UserError, match="the files of module changed after this job was planned"):
        import_checkpoint.main(["--config", json.dumps(config), "--output", str(tmp_path / "out")])
