"""Build encoders, untrained or with the weights of a file, and write such files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core import files
from workflow_scripts.core.checksums import require_unchanged
from workflow_scripts.core.errors import UserError, name_damage
from workflow_scripts.core.file_digests import digest_files
from workflow_scripts.levels import registry
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks.interfaces import Encoder

METADATA = "prelude"  # one key, since safetensors writes several in random order and the file's bytes should not change


def save_encoder(path: Path, encoder: Encoder, *, name: str, options: LevelOptions, code: str) -> None:
    """Write an encoder's weights as safetensors; equal weights give equal bytes. `options` are its level's."""
    save_state(path, encoder.state_dict(), name=name, options=options, code=code)


def save_state(path: Path, state: Mapping[str, Tensor], *, name: str, options: LevelOptions, code: str) -> None:
    """Write the state dict of an encoder as `save_encoder` does."""
    about: dict[str, object] = {"encoder": name, "options": options.model_dump(mode="json"), "code": code}
    if digest := _digest_external_files(registry.load("encoder", name), options):
        about["files"] = digest
    # a copy of each: networks may use one tensor twice, which the format cannot hold
    state = {key: value.detach().cpu().clone(memory_format=torch.contiguous_format) for key, value in state.items()}
    with files.write_atomically(path) as temporary:
        save_file(state, temporary, metadata={METADATA: json.dumps(about, sort_keys=True)})


def load_encoder(path: Path, *, name: str, options: Mapping[str, object]) -> Encoder:
    """Rebuild the encoder in `path`, on the CPU, in evaluation mode.

    `name` and `options` are those of the config. Raises `UserError` if the file is missing, changed or holds another
    encoder.
    """
    require_unchanged(path)
    level = registry.load("encoder", name)
    chosen = registry.options(level, options)
    with name_damage(path, remedy="pre-train again"), safe_open(path, framework="pt") as stored:
        about = dict(json.loads((stored.metadata() or {}).get(METADATA, "{}")))
        state = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 - not a dict
    stored_as, expected = (about.get("encoder"), about.get("options")), (name, chosen.model_dump(mode="json"))
    if stored_as != expected:
        raise UserError(
            f"{path} holds encoder {stored_as[0]} {stored_as[1]}, not {expected[0]} {expected[1]}: pre-train again"
        )
    if about.get("files") != _digest_external_files(level, chosen):
        raise UserError(
            f"the files of encoder {name} changed since they were imported into {path}: undo the change, or run the "
            "workflow again, which imports them anew"
        )
    encoder: Encoder = level.build(chosen)
    try:
        encoder.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise UserError(f"{path} does not fit encoder {name}: pre-train again ({error})") from error
    return encoder.eval()


def _digest_external_files(level: ModuleType, options: LevelOptions) -> str | None:
    """Return the digest of the files of a network that is not part of Prelude: they run in every job that loads it."""
    return digest_files(level.content(options)) if registry.fact(level, "EXTERNAL") else None


def build_encoder(choice: Mapping[str, Any], *, seed: int, encoder_file: Path | None) -> Encoder:
    """Build the encoder of `choice` {name, options}: read from `encoder_file`, or drawn from `seed` without one.

    Raises `UserError` when the file is missing, unreadable or of another encoder.
    """
    if encoder_file is not None:
        return load_encoder(encoder_file, name=choice["name"], options=choice["options"])
    level = registry.load("encoder", choice["name"])
    torch.manual_seed(seed)
    encoder: Encoder = level.build(registry.options(level, choice["options"]))
    return encoder


def check_sample_rate(encoder: Encoder, corpus: Corpus) -> None:
    """Raise `UserError` unless the corpus was prepared at the encoder's sample rate."""
    if encoder.sample_rate != corpus.facts.sample_rate:
        raise UserError(
            f"{corpus.folder} is at {corpus.facts.sample_rate} Hz and the encoder reads {encoder.sample_rate} Hz: "
            f"prepare {corpus.facts.dataset} at {encoder.sample_rate} Hz"
        )
