"""Files of an exported encoder: weights, facts, a package with the interface of HEAR, and ONNX."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from workflow_scripts.checkpoints.encoder_file import METADATA, load_encoder
from workflow_scripts.checkpoints.module_sources import ModuleSources
from workflow_scripts.core.errors import UserError, name_damage
from workflow_scripts.core.files import write_atomically, write_json, write_text
from workflow_scripts.core.source import PACKAGE
from workflow_scripts.levels import registry
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks import hear_interface
from workflow_scripts.networks.interfaces import Encoder

ONNX_FILE = "model.onnx"
ONNX_TOLERANCE = 1e-5  # of the largest value, between ONNX Runtime and torch
ONNX_SECONDS = 3.0  # of the input of an encoder without crops: a chunk of pre-training
ONNX_BATCH = 2  # example of the free size
FACTS = {"encoder", "options", "code", "sample_rate", "hop"}  # by which the config.json of an export is known
INTERFACE = """\"\"\"{title}: the interface of HEAR.\"\"\"

from {package}.networks.hear_interface import get_scene_embeddings, get_timestamp_embeddings, load_model

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]
"""


@dataclass(frozen=True, kw_only=True)
class ExportedEncoder:
    """An encoder to export: its level, its options, its network in evaluation mode, and the digest of its job."""

    name: str
    options: LevelOptions
    network: Encoder
    code: str

    @classmethod
    def from_file(cls, path: Path) -> ExportedEncoder:
        """Read an encoder file of a run; raises `UserError` if it is missing or damaged."""
        with name_damage(path, remedy="name a run that has finished"), safe_open(path, framework="pt") as stored:
            about = dict(json.loads(stored.metadata()[METADATA]))
            name, options, code = about["encoder"], about["options"], about["code"]
        _require_own(name)
        network = load_encoder(path, name=name, options=options)
        chosen: LevelOptions = registry.options(registry.load("encoder", name), options)
        return cls(name=name, options=chosen, network=network, code=code)

    @classmethod
    def untrained(cls, name: str, options: Mapping[str, Any], *, seed: int) -> ExportedEncoder:
        """Build an encoder with the weights that it starts with."""
        _require_own(name)
        level = registry.load("encoder", name)
        chosen: LevelOptions = registry.options(level, options)
        torch.manual_seed(seed)
        network: Encoder = level.build(chosen)
        return cls(name=name, options=chosen, network=network.eval(), code="")

    def facts(self) -> dict[str, Any]:
        """Return what identifies the encoder and what its users must know, as plain data."""
        network = self.network
        return {
            "encoder": self.name,
            "options": self.options.model_dump(mode="json"),
            "code": self.code,
            "sample_rate": network.sample_rate,
            "hop": network.hop,
            "crop_length": network.crop_length,
            "frame_size": network.embedding_size,
            "embedding_size": network.pooled_size,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
        }


def _require_own(name: str) -> None:
    """Raise `UserError` if the network of an encoder is not part of Prelude."""
    if registry.fact(registry.load("encoder", name), "EXTERNAL"):
        raise UserError(f"the network of {name} is not part of Prelude: pass on its own files instead")


def clear_export(folder: Path) -> None:
    """Make a folder for an export, or clear that of an earlier one; `UserError` if it holds anything else."""
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        return
    try:
        facts = json.loads((folder / hear_interface.CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        facts = {}
    if not isinstance(facts, dict) or not facts.keys() >= FACTS:
        raise UserError(f"{folder} holds other files than an export: choose another folder")
    (folder / ONNX_FILE).unlink(missing_ok=True)
    package = str(facts.get("module", ""))
    if package.isidentifier() and (folder / package / "networks" / "hear_interface.py").is_file():
        shutil.rmtree(folder / package)


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the facts as `config.json`."""
    write_json(folder / hear_interface.CONFIG, dict(facts))


def write_weights(folder: Path, encoder: ExportedEncoder) -> None:
    """Write the weights as safetensors."""
    state = {key: value.detach().cpu().contiguous().clone() for key, value in encoder.network.state_dict().items()}
    with write_atomically(folder / hear_interface.WEIGHTS) as temporary:
        save_file(state, temporary, metadata={"format": "pt"})


def write_hear_package(folder: Path, encoder: ExportedEncoder, *, package: str, shortest: int) -> dict[str, Any]:
    """Write a package with the interface of HEAR, and return what `config.json` must hold for it.

    `shortest` is the number of samples up to which shorter audio is repeated.
    """
    constructor = _constructor(encoder)
    interface = hear_interface.__name__
    sources = ModuleSources.of([f"{PACKAGE.name}.{constructor['module']}", interface])
    target = folder / package
    sources.copy(target)
    title = f"{registry.load('encoder', encoder.name).LABEL}, exported from Prelude"
    write_text(target / "__init__.py", INTERFACE.format(title=title, package=package))
    return {
        "constructor": constructor,
        "shortest": shortest,
        "module": package,
        "hear_sample_rate": hear_interface.choose_rate(encoder.network.sample_rate),
        "requires": list(sources.libraries),
    }


def _constructor(encoder: ExportedEncoder) -> dict[str, Any]:
    """Return module, class and arguments of the network's constructor, as its level calls it."""
    level, kind = registry.load("encoder", encoder.name), type(encoder.network)
    original, calls = kind.__init__, list[tuple[tuple[Any, ...], dict[str, Any]]]()

    def record(network: nn.Module, *positional: Any, **named: Any) -> None:
        calls.append((positional, named))
        original(network, *positional, **named)

    kind.__init__ = record  # type: ignore[assignment,method-assign]
    try:
        level.build(encoder.options)
    finally:
        kind.__init__ = original  # type: ignore[method-assign]
    positional, named = calls[0]
    try:
        assert not positional, "arguments of networks are named"
        arguments = json.loads(json.dumps(named))
    except (TypeError, ValueError, AssertionError) as error:
        raise UserError(f"{kind.__name__} cannot be exported with --hear: its arguments are no plain values") from error
    return {
        "module": kind.__module__.partition(".")[2],
        "class": kind.__qualname__,
        "arguments": arguments,
    }


class _Embedding(nn.Module):
    """Audio (batch, samples) to embeddings (batch, size)."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, audio: Tensor) -> Tensor:
        """Encode and pool."""
        return self.encoder.pool(self.encoder(audio))


def write_onnx(folder: Path, encoder: ExportedEncoder) -> dict[str, Any]:
    """Write the network from audio to embeddings as ONNX, and return what `config.json` must hold for it.

    The batch is free, the length fixed: that of a crop, or of three seconds. ONNX Runtime's embeddings are compared
    with torch's. Raises `UserError` if a package is missing, the network cannot be converted, or they differ.
    """
    try:
        import onnxruntime  # noqa: PLC0415 - an optional extra
        import onnxscript  # noqa: F401, PLC0415 - the exporter of torch needs it
    except ImportError as error:
        raise UserError("--onnx needs the packages onnx, onnxscript and onnxruntime: pip install .[onnx]") from error
    network = _Embedding(encoder.network).eval()
    samples = encoder.network.crop_length or round(ONNX_SECONDS * encoder.network.sample_rate)
    generator = torch.Generator().manual_seed(0)
    audio = torch.rand(ONNX_BATCH, samples, generator=generator) * 2 - 1
    path = folder / ONNX_FILE
    try:
        program = torch.onnx.export(
            network,
            (audio,),
            dynamo=True,
            input_names=["audio"],
            output_names=["embeddings"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
        assert program is not None, "returned with dynamo"
        with write_atomically(path) as temporary:
            program.save(str(temporary))
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # torch's exporter raises many kinds
        path.unlink(missing_ok=True)
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"encoder {encoder.name} cannot be converted to ONNX: leave out --onnx ({reason})") from error
    # another batch size than the one the exporter saw
    probe = torch.rand(ONNX_BATCH + 1, samples, generator=generator) * 2 - 1
    with torch.inference_mode():
        expected = network(probe)
    (computed,) = session.run(None, {"audio": probe.numpy()})
    difference = float((torch.from_numpy(computed) - expected).abs().max() / expected.abs().max())
    if not difference <= ONNX_TOLERANCE:
        path.unlink()
        raise UserError(
            f"the ONNX file's embeddings differ from torch's by {difference:.1e} of the largest value, more than "
            f"{ONNX_TOLERANCE:g}: it was deleted; leave out --onnx"
        )
    return {"onnx": {"file": ONNX_FILE, "samples": samples, "difference": difference}}
