"""Sources of the audio of the prepared corpora, and how much of it pre-training left out."""

from __future__ import annotations

from collections.abc import Mapping

from workflow_scripts.core import result_files
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.planning.manifest import Manifest


def sources_of(manifest: Manifest) -> dict[str, str]:
    """Return the source (twin, local or download) of each prepared corpus by its data set, from its `corpus.json`."""
    paths = (folder / result_files.CORPUS_FACTS for folder in manifest.corpora)
    facts = (manifest.find_record(path) for path in paths)
    return {corpus["dataset"]: corpus["source"] for corpus in facts if corpus}


def short_clips(manifest: Manifest) -> dict[tuple[str, ...], str]:
    """Return the training clips that were shorter than a chunk, such as "20 of 106", by the factors of the method.

    Runs without such clips, and those without a record, are left out.
    """
    counts = {}
    for run in manifest.pretrained_runs:
        record = manifest.find_record(run.folder / result_files.RECORD) or {}
        if short := record.get("clips_too_short"):
            counts[method_of(run.factors)] = f"{short:,} of {short + record['training_clips']:,}"
    return counts


def training_fields(manifest: Manifest, levels: Mapping[str, str]) -> dict[str, str]:
    """Return the columns about the data that others trained the encoder of these levels on."""
    data = manifest.training_data.get(levels["corpus"])
    if data is None:
        return {"trained_on": "", "tested_on_training_data": ""}
    return {
        "trained_on": ", ".join(data.names),
        "tested_on_training_data": "yes" if levels["dataset"] in data.evaluated else "no",
    }


def method_of(levels: Mapping[str, str]) -> tuple[str, ...]:
    """Return the levels of the factors of pre-training, whatever the seed."""
    return tuple(levels[factor] for factor in PRETRAINING if factor != "pretrain_seed")
