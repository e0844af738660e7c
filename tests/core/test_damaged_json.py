"""Every reader of JSON: what is missing, cut, nested without end or something else is one line that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from workflow_scripts import plan
from workflow_scripts.audio.corpus import read_facts
from workflow_scripts.configuration.jobs.embed import EmbedConfig
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.manifest import read_manifest
from workflow_scripts.pretraining.loss_weights import read_weights
from workflow_scripts.report import costs
from workflow_scripts.report.audits import read_audits
from workflow_scripts.sources.acquisition import read_acquisition

CONTENTS = {
    "empty": b"",
    "cut": b'{"a": ',
    "another object": b"{}",
    "list": b"[1, 2]",
    "number": b"1e999",
    "nested": b"[" * 100_000,
    "nested object": b'{"a":' * 100_000,
    "bytes": b"\xff\xfe\x00",
    "zeros": bytes(4096),
    "web page": b"<!doctype html>",
}
READERS: dict[str, Callable[[Path], object]] = {
    "corpus.json": lambda path: read_facts(path.parent),
    "acquired.json": read_acquisition,
    "weights.json": read_weights,
    "audit.json": lambda path: read_audits([path]),
    "manifest.json": lambda path: read_manifest(str(path)),
    "record.json": lambda path: costs.read_records("embed", path, {}),
}
#: other files are passed over beside records, and a fact that a record lacks is told where it is used
ACCEPTED = {"record.json": ("another object", "list", "number")}


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("name", READERS)
def test_damage_is_one_line_that_names_the_file(tmp_path: Path, name: str, kind: str) -> None:
    if kind in ACCEPTED.get(name, ()):
        return
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(CONTENTS[kind])
    path.with_suffix(".csv").write_bytes(CONTENTS[kind])
    with pytest.raises(UserError) as caught:
        READERS[name](path)
    message = str(caught.value)
    assert path.stem in message
    assert "\n" not in message
    assert len(message) < 600


@pytest.mark.parametrize("kind", ["cut", "nested", "nested object"])
def test_settings_on_a_command_line_are_one_line(kind: str) -> None:
    text = CONTENTS[kind].decode()
    with pytest.raises(UserError, match="--config: not JSON"):
        EmbedConfig.from_json(text)
    with pytest.raises(UserError, match="--config: not JSON"):
        plan.main(["--config", text])
