"""Checks of a config that involve several of its sections, or the files of levels."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from workflow_scripts.configuration.config import LEVEL_SECTIONS, Config
from workflow_scripts.configuration.origin import ConfigOrigin
from workflow_scripts.configuration.protocol import CellProtocol
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import parse, require_known
from workflow_scripts.levels import registry
from workflow_scripts.levels.dataset_facts import remotes


def _check_entries(config: Config, origin: ConfigOrigin) -> None:
    """Raise unless every entry names a level, and states options that the level has."""
    for factor, section in LEVEL_SECTIONS.items():
        for name in getattr(config, section):
            entry = config.entry(factor, name)
            require_known(entry.level, registry.names(factor), kind=factor, where=origin.at(section, name))
            if not isinstance(entry.trained, bool) or not (entry.trained or factor == "encoder"):
                allowed = (
                    "allowed: true or false" if factor == "encoder" else "only encoders may be untrained: remove it"
                )
                raise UserError(f"{origin.at(section, name, 'trained')}: {entry.trained!r} is not allowed; {allowed}")
            if not isinstance(entry.label, str | None):
                key = origin.at(section, name, "label")
                raise UserError(f"{key}: {entry.label!r} has the wrong type; allowed: text")
            config.level(factor, name, where=origin.at(section, name))


RESERVED = frozenset({"downloads", "packages"})  # folders beside those of the data sets
#: sections whose names are segments of the same place in a path
SEGMENTS = (
    ("datasets", "checkpoints"),
    ("worker_sets",),
    ("recipes",),
    ("fractions",),
    ("protocols",),
    *((section,) for section in LEVEL_SECTIONS.values()),
)


def _check_case(config: Config, origin: ConfigOrigin) -> None:
    """Raise for names that differ only in case: some disks, such as macOS's, make one folder of them."""
    for sections in SEGMENTS:
        seen: dict[str, str] = {}
        for section in sections:
            for name in getattr(config, section):
                other = seen.setdefault(name.lower(), name)
                if other != name:
                    raise UserError(
                        f"{origin.at(section, name)}: differs from {other} only in case, and some disks make one "
                        "folder of both: choose another name"
                    )


def _check_protocols(config: Config, origin: ConfigOrigin) -> None:
    """Raise unless the numbers of a protocol differ for heads and scenarios that exist."""
    for protocol, entry in config.protocols.items():
        for name in entry.heads:
            require_known(name, config.heads, kind="head", where=origin.at("protocols", protocol, "heads"))
        for name in entry.scenarios:
            where = origin.at("protocols", protocol, "scenarios")
            require_known(name, registry.names("scenario"), kind="scenario", where=where)
        for head, scenario in itertools.product(["", *entry.heads], ["", *entry.scenarios]):
            numbers = entry.resolve(head=head, scenario=scenario)
            parse(CellProtocol, numbers, where=origin.at("protocols", protocol))


def _check_weightings(config: Config, origin: ConfigOrigin) -> None:
    """Raise unless the weighting of the run that gives the weights is in the config too."""
    for name in config.weightings:
        source = config.level("weighting", name).module.WEIGHTS_SOURCE
        if source:
            where = f"{origin.at('weightings', name)} is weighed by"
            require_known(source, config.weightings, kind="weighting", where=where)


def _check_datasets(config: Config, origin: ConfigOrigin) -> None:
    """Raise unless every data set has a loader, options of it, and a source that the loader knows."""
    for name, dataset in config.datasets.items():
        require_known(
            dataset.loader, registry.names("dataset"), kind="dataset", where=origin.at("datasets", name, "loader")
        )
        level = config.level("dataset", name, where=origin.at("datasets", name, "options"))
        source = origin.at("datasets", name, "source")
        if dataset.source == "download" and not remotes(level.module, level.options):
            raise UserError(f"{source}: {dataset.loader} cannot be downloaded; allowed: local, twin")
        if dataset.source == "twin":
            require_known(dataset.loader, registry.names("twin"), kind="twin of data set", where=source)


def _check_sources(config: Config, origin: ConfigOrigin) -> None:
    """Raise unless every entry of `sources` is of a data set that is downloaded, and names files of it."""
    for name in set(config.datasets) & RESERVED:
        raise UserError(f"{origin.at('datasets', name)}: is a folder of Prelude's own: choose another name")
    for name, source in config.sources.items():
        where = origin.at("sources", name)
        require_known(name, config.datasets, kind="data set", where=where)
        level = config.level("dataset", name)
        files = remotes(level.module, level.options)
        if not files or config.datasets[name].source == "local":
            reason = "cannot be downloaded" if not files else "is read from the folder datasets.<name>.path"
            raise UserError(f"{where}: {name} {reason}: remove the entry")
        names = [part.name for remote in files.values() for part in (remote, *remote.parts)]
        if unused := source.unused(names):
            raise UserError(
                f"{where}: {unused[0]} is none of its files; allowed: folders, and names {', '.join(names)}"
            )


def _check_checkpoints(config: Config, origin: ConfigOrigin) -> None:
    """Raise unless every checkpoint is of an encoder that can be trained, and has a name of its own."""
    for name, checkpoint in config.checkpoints.items():
        if name in config.datasets:
            raise UserError(f"{origin.at('checkpoints', name)}: is also a data set; give the checkpoint another name")
        require_known(
            checkpoint.encoder,
            config.trainable_encoders(),
            kind="trainable encoder",
            where=origin.at("checkpoints", name, "encoder"),
        )
        module = config.level("encoder", checkpoint.encoder).module
        is_external = registry.fact(module, "EXTERNAL")
        if is_external and checkpoint.package is not None:
            raise UserError(f"{origin.at('checkpoints', name, 'package')}: {checkpoint.encoder} takes a path instead")
        if not is_external and (checkpoint.path is None) == (checkpoint.package is None):
            raise UserError(
                f"{origin.at('checkpoints', name)}: state either path, your copy of the file, or package, that "
                "holds it; null removes the other"
            )
        options = checkpoint.options_of_encoder(is_external=is_external)
        registry.options(module, options, where=origin.at("checkpoints", name, "options"))


def _check_worker_sets(config: Config, origin: ConfigOrigin) -> None:
    """Raise unless the workers of a set exist, and are different levels."""
    for name in config.workers:
        level = config.level("worker", name)
        if level.file != name and level.module.PRECOMPUTED:
            key = origin.at("workers", name)
            raise UserError(f"{key}: {level.file} stores its targets under its own name: call it {level.file}")
    for name, members in config.worker_sets.items():
        where = origin.at("worker_sets", name)
        for worker in members:
            require_known(worker, config.workers, kind="worker", where=where)
        for first, second in itertools.combinations(members, 2):
            file = config.level("worker", first).file
            if file == config.level("worker", second).file:
                raise UserError(f"{where}: {first} and {second} are the same level, {file}; allowed: one of them")


#: in this order: later checks rely on what earlier ones found right
CONFIG_CHECKS: tuple[Callable[[Config, ConfigOrigin], None], ...] = (
    _check_case,
    _check_entries,
    _check_protocols,
    _check_weightings,
    _check_datasets,
    _check_sources,
    _check_checkpoints,
    _check_worker_sets,
)
