"""Reading of configs and studies: YAML files to checked models.

Every mistake ends in one line that names file, key and allowed values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from workflow_scripts.configuration.config import Config
from workflow_scripts.configuration.config_checks import CONFIG_CHECKS
from workflow_scripts.configuration.grid_checks import Draft
from workflow_scripts.configuration.origin import ConfigOrigin, StudyOrigin
from workflow_scripts.configuration.study import StudyConfig
from workflow_scripts.configuration.study_checks import STUDY_CHECKS, check_comparisons
from workflow_scripts.configuration.trim import adapt_to_levels, replace_levels
from workflow_scripts.configuration.yaml_files import merge, read_yaml
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import first_mistake, require_known, validate

ModelT = TypeVar("ModelT", bound=BaseModel)


class Origin(Protocol):
    """Origin of a key: the file and position where it is stated."""

    def at(self, *path: str) -> str:
        """Return file and key."""


def load(
    files: Sequence[Path], *, folder: Path, merged: Mapping[str, Any] | None = None
) -> tuple[Config, dict[str, StudyConfig]]:
    """Read config files, later ones over earlier ones, and return the config and its studies by name, trimmed.

    `folder` holds `studies/`. `merged` is the config that Snakemake made of the files, and of `--config`, if it did.
    Raises `UserError`.
    """
    contents = [(file, read_yaml(file)) for file in files]
    content = merge([file_content for _, file_content in contents]) if merged is None else merged
    origin = ConfigOrigin(contents)
    config = _parse(Config, content, origin)
    for check in CONFIG_CHECKS:
        check(config, origin)
    names = _study_names(folder)
    for name in config.trim:  # those of studies that are not chosen may stay
        require_known(name, names, kind="study", where=origin.at("trim"))
    for name in config.studies:
        require_known(name, names, kind="study", where=origin.at("studies"))
    return config, {name: _load_trimmed(name, config, origin, folder=folder) for name in config.studies}


def load_study(name: str, *, folder: Path) -> StudyConfig:
    """Return a study as its file states it, untrimmed; raises `UserError`."""
    file = _file_of(name, folder)
    origin = StudyOrigin(name, file=file, config=ConfigOrigin([]), trim={})
    study = _parse(StudyConfig, read_yaml(file), origin)
    check_comparisons(study, origin)
    return study


def _load_trimmed(name: str, config: Config, config_origin: ConfigOrigin, *, folder: Path) -> StudyConfig:
    study, trim = load_study(name, folder=folder), config.trim.get(name) or {}
    origin = StudyOrigin(name, file=_file_of(name, folder), config=config_origin, trim=trim)
    if trim:
        content = replace_levels(study.to_plain(), trim, where=config_origin.at("trim", name))
        study = adapt_to_levels(_parse(StudyConfig, content, origin), trim)
    for check in STUDY_CHECKS:
        check(Draft(study, config, origin))
    return study


def _parse(model: type[ModelT], content: Mapping[str, Any], origin: Origin) -> ModelT:
    try:
        return validate(model, content)
    except ValidationError as error:
        path, message = first_mistake(error, model)
        raise UserError(f"{origin.at(*path)}: {message}") from error


def _study_names(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "studies").glob("*.yaml"))


def _file_of(study: str, folder: Path) -> Path:
    return folder / "studies" / f"{study}.yaml"
