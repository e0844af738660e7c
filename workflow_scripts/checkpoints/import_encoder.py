"""Encoders of this benchmark from published checkpoints. Apart from `official`, on whose networks no import hangs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from workflow_scripts.checkpoints.published import Published, explained, load_exactly
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks.interfaces import Encoder


def encoder(
    published: Published, *, name: str, options: Mapping[str, object] | None = None
) -> tuple[Encoder, LevelOptions]:
    """Build encoder `name` with the published weights, in evaluation mode; also return its level's `Options`.

    These are read from the shapes; `options` of a config, if given, must agree. Raises `UserError` if the file holds
    another network, or only a part of one.
    """
    level = registry.load("encoder", name)
    if not hasattr(level, "options_of"):
        known = [other for other in registry.names("encoder") if hasattr(registry.load("encoder", other), "options_of")]
        raise UserError(f"encoder {name} has no published checkpoints: choose one of {', '.join(known)}")
    with explained(published.path, f"imported as {name}"):
        if hasattr(level, "official_weights"):
            published = replace(published, state=level.official_weights(published.state))
        stored: LevelOptions = level.options_of(published.shapes)
        if options is not None and registry.options(level, options) != stored:
            raise UserError(
                f"it holds {_listed(stored)}, not {_listed(registry.options(level, options))}: "
                "leave the options out or give those of the file"
            )
        built: Encoder = level.build(stored)
        load_exactly(built, published)
    return built.eval(), stored


def _listed(options: LevelOptions) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.model_dump().items())
