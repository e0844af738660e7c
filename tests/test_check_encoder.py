"""Checks of encoders: all of Prelude's keep their contract, and faults are found at their points."""

from __future__ import annotations

import json
import re

import pytest

from tests.encoders.external import CLASS, write_hear, write_module, write_transformers
from workflow_scripts import check_encoder
from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation import encoder_checks
from workflow_scripts.levels import registry

#: small networks of the encoders that have options of size; pitch takes most of the time of handcrafted features
SMALL = {
    "cpc": [{"width": 0.05}, {"width": 0.05, "pooled": "both"}],
    "handcrafted": [{"pitch": False}],
    "pase": [{"width": 0.1, "embedding": 16}],
    "pase_plus": [{"width": 0.1, "embedding": 16}],
    "samplecnn": [{"width": 0.05, "sample_rate": rate} for rate in (8000, 12000, 16000, 22050)],
    "unet": [{"width": 0.1}, {"width": 0.1, "sources": 4, "pooling": "average"}],
}
OWN = [
    (name, options)
    for name in registry.names("encoder")
    if not registry.fact(registry.load("encoder", name), "EXTERNAL")
    for options in SMALL.get(name, [{}])
]
SHORT = (0.5, 1.0, 3.0)  # seconds; those of the command take a minute for all encoders

#: fault -> (text of the class and its replacement, point that shows it, words of the line)
FAULTS = {
    "wrong rate": ("sampling_rate = {rate}", "sampling_rate = 22050", "build", "reads 22050 Hz"),
    "wrong shape": (".transpose(1, 2)", "", "shapes", r"gives shape \(3, 64, 298\)"),
    "batch dependence": ("audio[:, None]", "(audio - 0.01 * audio.mean(0))[:, None]", "batch", "other clips"),
    "no gradient": ("    def forward", "    @torch.no_grad()\n    def forward", "gradients", "no gradient"),
    "NaN on silence": ("audio[:, None]", "(audio / audio.std(1, keepdim=True))[:, None]", "silence", "NaN"),
    "non-determinism": ("audio[:, None]", "torch.dropout(audio, 0.1, True)[:, None]", "same result", "random"),
    "a change in place": (
        "audio[:, None]",
        "audio.sub_(audio.mean())[:, None]",
        "audio unchanged",
        "changes the audio",
    ),
    "an array": (".transpose(1, 2)", ".transpose(1, 2).detach().numpy()", "shapes", "gives a ndarray, not a torch"),
    "an end of the program": ("import torch", "import torch\nraise SystemExit(0)", "build", "SystemExit"),
    "an end in use": ("audio[:, None]", "audio[:, None] if len(audio) > 1 else exit(3)", "frames per", "SystemExit"),
    "state": ("audio[:, None]", "self.count(audio)[:, None]", "same result", "kept from call to call"),
    "wrong hop": ("stride=160", "stride=320", "frames per second", "stated as 10 ms"),
    "a hop of another rate": ("stride=160", "stride=220", "frames per second", "stated as 10 ms"),
    "crash on 0.5 s": ("audio[:, None]", "audio[:, None] + audio[:, 15999:16000, None]", "clip of 0.5 s", "Error"),
}
MORE = """
    def count(self, audio):
        self.calls = getattr(self, "calls", 0) + 1
        return audio * self.calls
"""


@pytest.mark.parametrize(("name", "options"), OWN, ids=lambda value: value if isinstance(value, str) else "")
def test_own_encoders_keep_their_contract(name, options):
    findings = [*encoder_checks.check_encoder(registry.load("encoder", name), options, durations=SHORT)]
    assert [finding for finding in findings if not finding.passed] == []
    assert len(findings) == 13 + len(SHORT)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_at_its_point(fault, tmp_path, capsys):
    before, after, point, words = FAULTS[fault]
    assert before in CLASS
    options = write_module(tmp_path, text=CLASS.replace(before, after) + MORE)
    with pytest.raises(SystemExit) as ended:
        check_encoder.main(["--module", options["path"]])
    assert ended.value.code == 1
    faults = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAULT")]
    assert faults
    (line,) = [line for line in faults if line.split(maxsplit=1)[1].startswith(point)]
    assert re.search(words, line), line


def test_a_sound_class_passes_with_and_without_windows(tmp_path, capsys):
    path = write_module(tmp_path, rate=8000, text=CLASS.replace("= 10", "= 20"))["path"]
    for options in ({}, {"seconds": 1.5}):
        check_encoder.main(["--module", path, "--sample-rate", "8000", "--options", json.dumps(options)])
        printed = capsys.readouterr().out
        assert "FAULT" not in printed
        assert "ok     frames per second     50, one each 20 ms" in printed
    assert "ok     clip of 10 s          6 embeddings, one of each crop" in printed


def test_modules_and_folders_of_others_pass(tmp_path, capsys):
    options = write_hear(tmp_path, detach=".detach()")
    check_encoder.main(["--hear", str(options.pop("module")), "--options", json.dumps(options)])
    printed = capsys.readouterr().out
    assert "ok     gradients             none arrive: for frozen cells only" in printed
    assert "ok     frames per second     the network states none" in printed
    check_encoder.main(["--transformers", str(write_transformers(tmp_path)["path"])])
    assert "FAULT" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one encoder"),
        (["pase", "--module", "a.py"], "name one encoder"),
        (["pase", "--options", "[1]"], "--options: give a JSON object"),
        (["pase", "--options", "{"], "--options: not JSON"),
        (["pasee"], "unknown encoder 'pasee'"),
    ],
)
def test_a_mistake_in_the_command_is_one_line(arguments, message):
    with pytest.raises(UserError, match=message):
        check_encoder.main(arguments)


def test_an_encoder_that_cannot_be_built_is_one_fault(tmp_path, capsys):
    with pytest.raises(SystemExit):
        check_encoder.main(["--module", str(tmp_path / "none.py")])
    assert capsys.readouterr().out.splitlines() == [
        f"FAULT  build                 {tmp_path}/none.py: there is no such file"
    ]
