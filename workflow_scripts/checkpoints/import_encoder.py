"""Encoders of this benchmark from published checkpoints.

Apart from `import_networks`, so that importing an encoder depends on no other network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType

from workflow_scripts.checkpoints.weight_files import CheckpointFile, load_exactly, name_file_in_errors
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks.interfaces import Encoder


def import_encoder(
    checkpoint: CheckpointFile, *, name: str, options: Mapping[str, object] | None = None
) -> tuple[Encoder, LevelOptions]:
    """Build encoder level `name` with the published weights, in evaluation mode; also return its `Options`.

    Those that the shapes show are read from them, and `options` of a config, if given, must agree; others, such as the
    layer whose output is used, are taken from `options`. Raises `UserError` if the file holds another network, or only
    a part of one.
    """
    level = registry.load("encoder", name)
    if not hasattr(level, "options_of"):
        known = [other for other in registry.names("encoder") if hasattr(registry.load("encoder", other), "options_of")]
        raise UserError(f"encoder {name} has no published checkpoints: choose one of {', '.join(known)}")
    with name_file_in_errors(checkpoint.path, f"imported as {name}"):
        if hasattr(level, "official_weights"):
            checkpoint = replace(checkpoint, state=level.official_weights(checkpoint.state))
        chosen = _choose_options(level, shown=level.options_of(checkpoint.shapes), stated=options)
        encoder: Encoder = level.build(chosen)
        load_exactly(encoder, checkpoint)
    return encoder.eval(), chosen


def _choose_options(level: ModuleType, *, shown: LevelOptions, stated: Mapping[str, object] | None) -> LevelOptions:
    """Return the options that a file's shapes show and, of those that no shape shows, the stated ones."""
    visible = {name: getattr(shown, name) for name in shown.model_fields_set}
    if stated is None:
        return shown
    expected: LevelOptions = registry.options(level, stated)
    if any(getattr(expected, name) != value for name, value in visible.items()):
        raise UserError(
            f"it holds {_in_words(shown)}, not {_in_words(expected)}: leave the options out or give those of the file"
        )
    return expected


def _in_words(options: LevelOptions) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.model_dump().items())
