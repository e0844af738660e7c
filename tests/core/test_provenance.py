"""Code digests and records."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from workflow_scripts import audit
from workflow_scripts.configuration.jobs._base import LevelChoice
from workflow_scripts.configuration.jobs.embed import EmbedConfig
from workflow_scripts.core import provenance, source
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry

PASE_ON_MFCC = (("encoder", "pase"), ("worker", "mfcc"))
SHORT_CHUNK = [
    "networks/short_chunk_cnn.py",
    "networks/short_chunk_cnn_head.py",
    "networks/sizes/short_chunk_cnn.py",
    "networks/msspt_joint.py",
    "heads/short_chunk_cnn.py",
]
TRANSFORMER = ["networks/audio_spectrogram_transformer.py", "networks/ast_head.py"]
BACK_ENDS = [*SHORT_CHUNK, "networks/log_mel.py", *TRANSFORMER]
PASE_HEADS = ["networks/decoder.py", "networks/regression_head.py"]
PASE = [*PASE_HEADS, "networks/sinc.py", "networks/blocks.py"]

AST_IN_THREE_STAGES = [("head", "ast"), ("scenario", "three_stage")]
BARE_AST = [("encoder", "magnitude"), ("head", "ast"), ("scenario", "supervised")]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that digests are taken from, free to edit."""
    copy = tmp_path / "workflow_scripts"
    shutil.copytree(source.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for module in (registry, source, provenance):
        monkeypatch.setattr(module, "PACKAGE", copy)
    return copy


def fresh_digest(module: str = "pretrain", chosen: Sequence[tuple[str, str]] = PASE_ON_MFCC) -> str:
    for function in (provenance._meaning, provenance._digest_of):
        function.cache_clear()
    return provenance.code_digest(module, chosen=itertools.starmap(registry.module_name, chosen))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_comments_docstrings_and_layout_do_not_count(package: Path) -> None:
    before = fresh_digest()
    append(package / "encoders" / "pase.py", "\n\n\n# a remark\n")
    edit(package / "encoders" / "pase.py", '"""PASE: ', '"""Another opening: ')
    assert fresh_digest() == before


def test_the_description_of_an_option_does_not_count(package: Path) -> None:
    before = fresh_digest()
    edit(
        package / "workers" / "_feature_options.py", """Channels of the head's hidden layer.""", "Another description."
    )
    assert fresh_digest() == before


def test_a_docstring_added_where_there_was_none_does_not_count(package: Path) -> None:
    append(package / "core" / "files.py", "\n\ndef helper():\n    return 1\n")
    before = fresh_digest()
    edit(package / "core" / "files.py", "def helper():\n", 'def helper():\n    """Help."""\n')
    assert fresh_digest() == before


@pytest.mark.parametrize(
    "file",
    [
        "pretrain.py",
        "encoders/pase.py",
        "workers/mfcc.py",
        "networks/interfaces.py",
        "networks/pase.py",
        "core/files.py",
    ],
)
def test_meaning_counts_wherever_it_is_imported(package: Path, file: str) -> None:
    before = fresh_digest()
    append(package / file, "\n\nADDED = 1\n")
    assert fresh_digest() != before


@pytest.mark.parametrize("file", ["encoders/handcrafted.py", "workers/tempogram.py", "report/__init__.py", "embed.py"])
def test_what_the_job_does_not_use_does_not_count(package: Path, file: str) -> None:
    before = fresh_digest()
    append(package / file, "\n\nADDED = 1\n")
    assert fresh_digest() == before


@pytest.mark.parametrize(
    ("module", "chosen", "files"),
    [
        *(
            (verb, [("encoder", "unet"), ("worker", "separation")], BACK_ENDS)
            for verb in ("pretrain", "evaluate_separation")
        ),
        ("embed", [("encoder", "unet")], BACK_ENDS),
        ("import_checkpoint", [("encoder", "unet")], [*BACK_ENDS, *PASE]),
        (
            "import_checkpoint",
            [("encoder", "pase")],
            ["networks/decoder.py", "networks/regression_head.py", *BACK_ENDS],
        ),
        ("evaluate", BARE_AST, [*SHORT_CHUNK, *PASE, "networks/unet.py", "networks/msspt.py"]),
        ("evaluate", [("encoder", "unet"), *AST_IN_THREE_STAGES], [*SHORT_CHUNK, *PASE]),
    ],
)
def test_a_network_that_a_job_does_not_train_does_not_count(
    package: Path, module: str, chosen: list[tuple[str, str]], files: list[str]
) -> None:
    before = fresh_digest(module, chosen)
    for file in files:
        append(package / file, "\n\nADDED = 1\n")
    assert fresh_digest(module, chosen) == before


def test_the_networks_that_a_cell_trains_count(package: Path) -> None:
    chosen = [("encoder", "unet"), ("head", "short_chunk_cnn")]
    digests = [fresh_digest("evaluate", chosen)]
    networks = ("unet", "unet_encoder", "short_chunk_cnn", "short_chunk_cnn_head", "sizes/short_chunk_cnn", "log_mel")
    for file in (f"networks/{name}.py" for name in networks):
        append(package / file, "\n\nADDED = 1\n")
        digests.append(fresh_digest("evaluate", chosen))
    assert len(set(digests)) == len(digests)


def test_a_new_import_is_followed(package: Path) -> None:
    (package / "audio" / "shared.py").write_text("VALUE = 1\n", encoding="utf-8")
    append(package / "encoders" / "pase.py", "\n\nfrom workflow_scripts.audio import shared  # noqa\n")
    before = fresh_digest()
    append(package / "audio" / "shared.py", "OTHER = 2\n")
    assert fresh_digest() != before


def test_every_file_of_a_folder_that_a_module_loads_counts(package: Path) -> None:
    before = fresh_digest("aggregate", [])
    assert fresh_digest("aggregate", []) == before
    quantities = package / "statistics" / "reproduction" / "quantities"
    (quantities / "tempo.py").write_text("QUANTITIES = {}\n", encoding="utf-8")
    with_another = fresh_digest("aggregate", [])
    append(quantities / "tempo.py", "ADDED = 1\n")
    assert len({before, with_another, fresh_digest("aggregate", [])}) == 3


def test_data_lists_count_where_they_are_read(package: Path) -> None:
    def digests() -> list[str]:
        fresh_digest()
        return [
            provenance.code_digest("prepare", chosen=[registry.module_name("dataset", name)])
            for name in ("audioset_music", "openmic")
        ]

    before = digests()
    append(package / "datasets" / "lists" / "audioset_music_subtree.csv", "\n")
    after = digests()
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_digest_ignores_the_order_of_keys() -> None:
    assert provenance.digest({"a": 1, "b": [2]}) == provenance.digest({"b": [2], "a": 1})
    assert provenance.digest({"a": 1, "b": [2]}) != provenance.digest({"a": 2, "b": [1]})


def test_a_record_says_what_ran_where() -> None:
    record = provenance.Record(config={"seed": 3}, code="abc").content(data={"openmic": "d1"}, device="cpu", steps=7)
    assert record["config"] == {"seed": 3}
    assert record["config_digest"] == provenance.digest({"seed": 3})
    assert (record["code"], record["device"], record["steps"], record["data"]) == ("abc", "cpu", 7, {"openmic": "d1"})
    assert record["versions"]["numpy"]
    assert 0 <= record["seconds"] < 60
    assert record["peak_memory_bytes"] > 10**6


PLANNED = provenance.job_digest(provenance.code_digest("audit"), [])


@pytest.mark.parametrize("code", [PLANNED, PLANNED[:16], "c0de"])
def test_a_command_runs_the_code_that_was_planned(tmp_path: Path, code: str) -> None:
    with pytest.raises(UserError, match=r"nowhere/corpus\.json is missing"):
        audit.main(
            ["--config", '{"dataset": "a"}', "--code", code, "--corpus=nowhere", f"--output={tmp_path / 'a.json'}"]
        )


@pytest.mark.parametrize("code", [f"{'0' * 16}{PLANNED[16:]}", "0" * 16])
def test_a_command_whose_code_was_edited_since_it_was_planned_ends_in_one_line(tmp_path: Path, code: str) -> None:
    with pytest.raises(
        UserError, match="the code of audit was edited after this job was planned: nothing was computed"
    ):
        audit.main(
            ["--config", '{"dataset": "a"}', "--code", code, "--corpus=nowhere", f"--output={tmp_path / 'a.json'}"]
        )


def test_an_edited_level_is_noticed_where_the_job_loads_it(package: Path) -> None:
    config = EmbedConfig(encoder=LevelChoice(name="pase"), seed=0, dataset="a")
    code = provenance.job_digest(fresh_digest("embed", [("encoder", "pase")]), [("code", "config")])
    config.require_planned(code, command="embed")
    append(package / "encoders" / "handcrafted.py", "\n\nADDED = 1\n")
    fresh_digest()
    config.require_planned(code, command="embed")
    append(package / "encoders" / "pase.py", "\n\nADDED = 1\n")
    fresh_digest()
    with pytest.raises(UserError, match="the code of embed was edited"):
        config.require_planned(code, command="embed")
