"""The documentation of keys is generated, whole and in step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from workflow_scripts.configuration import document
from workflow_scripts.configuration.config import Config
from workflow_scripts.configuration.study import FigureChoice, StudyConfig
from workflow_scripts.configuration.yaml_files import merge, read_yaml
from workflow_scripts.core.validation import field_descriptions
from workflow_scripts.levels import registry

MODELS = {
    model.__name__: model
    for model in (document.CONFIG_MODELS | document.STUDY_MODELS | document.PUBLISHED_MODELS).values()
}


@pytest.mark.parametrize("name", MODELS)
def test_every_key_is_described_and_no_other_is_allowed(name: str) -> None:
    check_descriptions(MODELS[name])
    by_kind = MODELS[name] is FigureChoice  # the kind's file declares the others
    assert MODELS[name].model_config["extra"] == ("allow" if by_kind else "forbid")


@pytest.mark.parametrize("factor", document.FACTORS)
def test_every_option_of_a_level_is_described(factor: str) -> None:
    for name in registry.names(factor):
        check_descriptions(registry.load(factor, name).Options)


def test_the_keys_of_every_section_are_on_the_page() -> None:
    sections = {*Config.model_json_schema()["$defs"], *StudyConfig.model_json_schema()["$defs"]}
    assert sections <= {model.__name__ for model in document.HEADINGS}


def check_descriptions(model: type[BaseModel]) -> None:
    descriptions = field_descriptions(model)
    for name in model.model_fields:
        assert descriptions.get(name), f"{model.__module__}.{model.__name__}.{name} lacks a docstring"


def test_the_readme_of_config_is_in_step_with_the_models() -> None:
    assert document.README.read_text(encoding="utf-8") == document.render_page(), f"run: {document.COMMAND}"


def test_editors_get_schemas_that_fit_the_files_that_ship(tmp_path: Path) -> None:
    document.write_schemas(tmp_path)
    config = json.loads((tmp_path / "config.schema.json").read_text(encoding="utf-8"))
    study = json.loads((tmp_path / "study.schema.json").read_text(encoding="utf-8"))
    assert set(config["properties"]) == set(Config.model_fields)
    assert all(key["description"] for schema in (config, study) for key in schema["properties"].values())
    assert "required" not in config
    assert set(study["properties"]) == set(StudyConfig.model_fields)
    for file in (document.README.parent).glob("*.yaml"):
        assert set(read_yaml(file)) <= set(config["properties"])
    for file in (document.README.parent / "studies").glob("*.yaml"):
        assert set(study["required"]) <= set(merge([read_yaml(file)])) <= set(study["properties"])
