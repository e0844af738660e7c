"""Import a published checkpoint: an encoder file like one trained here, and its record.

    python -m workflow_scripts.import_checkpoint --encoder NAME [--checkpoint FILE] --output DIR
        [--options JSON] [--code DIGEST]
    python -m workflow_scripts.import_checkpoint --config JSON [--checkpoint FILE] --output DIR [--code DIGEST]

Reads files of the PASE code (`pase`, `pase_plus`), the CLMR code (`samplecnn`, `cpc`), the MSSPT code (`unet`) and the
musicnn package (`musicnn`). The last two are TensorFlow checkpoints: give the .index file, or the common prefix of the
file names; of a joint network, only the U-Net is imported. The options of an external encoder (`module` and others)
state where its network is. Without `--options` the encoder's options are read from the file; with them the file must
agree. A workflow states the encoder by `--config`, all that its plan reads of the config. Writes encoder.safetensors
and record.json into the output folder.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from workflow_scripts.checkpoints.encoder_file import save_encoder
from workflow_scripts.checkpoints.import_encoder import import_encoder
from workflow_scripts.checkpoints.weight_files import read_checkpoint
from workflow_scripts.configuration.jobs.import_checkpoint import ImportCheckpointConfig
from workflow_scripts.core import provenance, result_files
from workflow_scripts.core.checkpoint_files import require_planned_checkpoint
from workflow_scripts.core.checksums import checksums, write_record
from workflow_scripts.core.cli import command_parser
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.file_digests import digest_files
from workflow_scripts.core.json_options import parse_options
from workflow_scripts.levels import registry
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.pretraining.device import device_name
from workflow_scripts.sources.package_contents import open_member


def main(argv: list[str] | None = None) -> None:
    """Import one checkpoint."""
    arguments = _parser().parse_args(argv)
    config: ImportCheckpointConfig | None = arguments.config
    name, code = config.encoder.name if config else arguments.encoder, arguments.code
    stated = config.encoder.options if config else arguments.options and parse_options(arguments.options)
    modules = [registry.module_name("encoder", name)]
    if code is None:
        code = provenance.code_digest("import_checkpoint", chosen=modules)
    provenance.require_planned_code(code, "import_checkpoint", chosen=modules)
    record = provenance.Record(config={}, code=code)
    if registry.fact(registry.load("encoder", name), "EXTERNAL"):
        if arguments.checkpoint is not None:
            raise UserError(f"encoder {name} reads no --checkpoint: state its file or folder in --options, as `path`")
        encoder, options, source = _open_external(name, stated or {}, planned=config.file if config else None)
    else:
        encoder, options, source = _import_file(arguments.checkpoint, name, stated, config)
    by_hand = {"encoder": {"name": name, "options": options.model_dump(mode="json")}}
    record.config = config.to_plain() if config else by_hand
    save_encoder(arguments.output / result_files.ENCODER, encoder, name=name, options=options, code=code)
    content = record.content(
        data={},
        device=device_name(torch.device("cpu")),
        checkpoint=source,
    )
    encoder_file = arguments.output / result_files.ENCODER
    write_record(arguments.output / result_files.RECORD, content, files=checksums(encoder_file))


def _import_file(
    checkpoint: Path | None, name: str, stated: Mapping[str, Any] | None, config: ImportCheckpointConfig | None
) -> tuple[Encoder, LevelOptions, dict[str, str]]:
    """Return the encoder that a published file holds, its options, and the file's name, checksum and format.

    Raises `UserError` if none is named, or the file is not the planned one or holds no such encoder.
    """
    if checkpoint is None:
        raise UserError(f"--checkpoint is missing: name the file to import as {name}")
    if config and config.member is None:
        require_planned_checkpoint(checkpoint, config.file)
    with _open_file(checkpoint, config) as file:
        published = read_checkpoint(file)
        encoder, options = import_encoder(published, name=name, options=stated)
    file_name = (config and config.member) or checkpoint.name
    return encoder, options, {"file": file_name, "sha256": published.sha256, "format": published.format}


def _open_external(
    name: str, stated: Mapping[str, Any], *, planned: str | None
) -> tuple[Encoder, LevelOptions, dict[str, str]]:
    """Return an encoder whose network is the user's, its options, and the digest of its files.

    Raises `UserError` if the network cannot be built, or its files are no longer those that were planned.
    """
    level = registry.load("encoder", name)
    options: LevelOptions = registry.options(level, stated)
    digest = digest_files(level.content(options))
    if planned is not None and digest != planned:
        raise UserError(f"the files of {name} changed after this job was planned: run the workflow again")
    # a module with the HEAR API may have its weights in itself
    source = getattr(options, "path", "") or getattr(options, "module", "")
    torch.manual_seed(0)  # a network that reads no weights has the same ones each time
    encoder: Encoder = level.build(options)
    return encoder.eval(), options, {"file": str(source), "sha256": digest, "format": name}


def _open_file(checkpoint: Path, config: ImportCheckpointConfig | None) -> AbstractContextManager[Path]:
    """Return the file to read while the context lasts: one of the archive `checkpoint` if the config names a member."""
    if config is None or config.member is None:
        return contextlib.nullcontext(checkpoint)
    return open_member(checkpoint, sha256=config.file or "", member=config.member)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("import_checkpoint", __doc__)
    encoder = parser.add_mutually_exclusive_group(required=True)
    encoder.add_argument("--encoder", help="level of the encoder")
    encoder.add_argument(
        "--config",
        type=ImportCheckpointConfig.from_json,
        metavar="JSON",
        help="planned job: the encoder with its options, name and digest of the checkpoint",
    )
    parser.add_argument(
        "--checkpoint", type=Path, help="published file, or safetensors; an external encoder states it as an option"
    )
    parser.add_argument("--output", required=True, type=Path, help="folder for encoder.safetensors and record.json")
    parser.add_argument("--options", help="JSON: the encoder's options, which the file must have (as in the file)")
    parser.add_argument("--code", help="code digest, written into the record (computed)")
    return parser


if __name__ == "__main__":
    run_command(main)
