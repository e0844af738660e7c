"""Encoders of this benchmark from published checkpoints. Apart from `official`, on whose networks no import hangs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from workflow_scripts import levels
from workflow_scripts.errors import UserError
from workflow_scripts.training.published import Published, explained, load_exactly
from workflow_scripts.training.shapes import Encoder


def encoder(published: Published, *, name: str, options: Mapping[str, object] | None = None) -> tuple[Encoder, Any]:
    """Build encoder `name` with the published weights, in evaluation mode; also return its level's `Options`.

    These are read from the shapes; `options` of a config, where given, must agree. Raises `UserError` if the file holds
    another network, or only a part of one.
    """
    level = levels.load("encoder", name)
    if not hasattr(level, "options_of"):
        known = [other for other in levels.names("encoder") if hasattr(levels.load("encoder", other), "options_of")]
        raise UserError(f"encoder {name} has no published checkpoints: choose one of {', '.join(known)}")
    with explained(published.path, f"imported as {name}"):
        if hasattr(level, "official_weights"):
            published = replace(published, state=level.official_weights(published.state))
        found = level.options_of(published.shapes)
        if options is not None and levels.options(level, options) != found:
            raise UserError(
                f"it holds {_listed(found)}, not {_listed(levels.options(level, options))}: leave the options out or "
                "give those of the file"
            )
        built: Encoder = level.build(found)
        load_exactly(built, published)
    return built.eval(), found


def _listed(options: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in asdict(options).items())
