"""Damage to results is noticed before they are used: every kind of file, every kind of damage, by the next command.

`python -m tests.test_damage` prints the table.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch

from tests import synthetic_results
from tests.corpora import write_corpus
from tests.pretraining_runs import config as pretrain_config
from tests.pretraining_runs import write_features
from tests.records import seal
from tests.synthetic_results import CODE, Results, factors
from workflow_scripts import aggregate, compose, draw, embed, evaluate, extract, pretrain, tabulate, weigh
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.checkpoints.encoder_file import save_encoder
from workflow_scripts.configuration.jobs._base import JobConfig
from workflow_scripts.configuration.jobs.embed import EmbedConfig
from workflow_scripts.configuration.jobs.evaluate import EvaluateConfig
from workflow_scripts.configuration.jobs.extract import ExtractConfig
from workflow_scripts.configuration.jobs.pretrain import PretrainConfig
from workflow_scripts.core.checksums import CHECKSUMS, OWN, checksums, read_record, write_record
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.provenance import code_digest, digest, job_digest
from workflow_scripts.encoders import pase
from workflow_scripts.levels.factors import FACTORS, PRETRAINING
from workflow_scripts.planning.manifest import read_manifest

ENCODER = {"name": "pase", "options": {"embedding": 8, "width": 0.05}}
LOSSES = [(epoch, split, worker, 1.5 / epoch) for epoch in (1, 2, 3) for split in ("train", "valid") for worker in "ab"]
AUDIT = {"dataset": "openmic", "too_short": 0, "comparisons": []}
SWAPPED = "swapped with its record"
OVERLAPS = "kind,leak,clip,split,other_corpus,other_clip,other_split,similarity,offset,share,name\n"


@dataclass(frozen=True, kw_only=True)
class Use:
    """A stored file, and the command that reads it."""

    path: Path
    command: ModuleType
    arguments: list[str]
    may_be_missing: bool = False  # a job that has not run, which tables state


def flip(content: bytes, _: Use) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def blank(content: bytes, _: Use) -> bytes:
    start = max(0, len(content) // 2 - 2048)
    return content[:start] + bytes(min(4096, len(content) - start)) + content[start + 4096 :]


def truncate(content: bytes, _: Use) -> bytes:
    return content[: len(content) // 2]


def change_digit(content: bytes, use: Use) -> bytes | None:
    if use.path.suffix == ".parquet":
        table = pd.read_parquet(io.BytesIO(content))
        number = table.select_dtypes("number").columns[0]
        return _parquet(table.assign(**{number: table[number] + 1}))
    if use.path.suffix not in (".csv", ".json", ".svg"):
        return None
    place = next(place for place in reversed(range(len(content))) if content[place : place + 1].isdigit())
    return content[:place] + str(9 - int(content[place : place + 1])).encode() + content[place + 1 :]


def shuffle(content: bytes, use: Use) -> bytes | None:
    if use.path.suffix == ".parquet":
        return _parquet(pd.read_parquet(io.BytesIO(content)).iloc[::-1])
    if use.path.suffix == ".npy":
        with io.BytesIO() as file:
            np.save(file, np.load(io.BytesIO(content))[::-1])
            return file.getvalue()
    if use.path.suffix != ".csv":
        return None
    header, *rows = content.splitlines(keepends=True)
    return b"".join([header, *reversed(rows)]) if len({*rows}) > 1 else None


def _parquet(table: pd.DataFrame) -> bytes:
    with io.BytesIO() as file:
        table.to_parquet(file)
        return file.getvalue()


DAMAGES: dict[str, Callable[[bytes, Use], bytes | None]] = {
    "flipped byte": flip,
    "4 kB of zeros": blank,
    "truncated": truncate,
    "changed digit": change_digit,
    "shuffled rows": shuffle,
}


def write_all(folder: Path, *, seed: int) -> list[Use]:
    """Write a small set of all results, and return how each is used; another seed gives other results."""
    return [*_of_jobs(folder / "jobs", seed), *_of_statistics(folder / "results", seed)]


def _of_jobs(folder: Path, seed: int) -> Iterator[Use]:
    corpus = write_corpus(folder / "tones", clips=20, seconds=0.5, seed=seed)
    prepared = _write_preparation(corpus, seed)
    given = [f"--corpus={corpus.folder}"]
    # corpus, encoder and embeddings
    encoder, embeddings = folder / "run" / "encoder.safetensors", folder / "tones.npy"
    torch.manual_seed(seed)
    options = pase.Options(**ENCODER["options"])
    save_encoder(encoder, pase.build(options), name="pase", options=options, code="c")
    embedded = {"encoder": ENCODER, "seed": 0, "dataset": "tones"}
    seal(encoder, code=f"c{seed}", config={})
    code = _code("embed", EmbedConfig, embedded, prepared, encoder.with_name("record.json"))
    arguments = ["--config", json.dumps(embedded), code, *given, f"--encoder-file={encoder}", f"--output={embeddings}"]
    embed.main(arguments)
    for name in ("corpus.json", "clips.parquet", "audio.int16"):
        yield Use(path=corpus.folder / name, command=embed, arguments=arguments)
    yield Use(path=encoder, command=embed, arguments=arguments)
    evaluated = {"head": {"name": "linear"}, "scenario": "frozen", "fraction": "100pct", "trials": 1}
    evaluated |= {"factors": dict.fromkeys(FACTORS, "none"), "training": {"max_epochs": 1}}
    code = _code("evaluate", EvaluateConfig, evaluated, prepared, embeddings.with_suffix(".json"))
    arguments = [
        "--config",
        json.dumps(evaluated),
        code,
        *given,
        f"--embeddings={embeddings}",
        f"--output={folder / 'cell'}",
    ]
    for path in (corpus.folder / "labels.parquet", embeddings, embeddings.with_suffix(".json")):
        yield Use(path=path, command=evaluate, arguments=arguments)
    # pre-training: stored targets, loss weights, losses
    features = folder / "prosody.npy"
    write_features(features, corpus, channels=4 + seed)
    seal(features, code=f"c{seed}", config={})
    run = pretrain_config() | {"workers": {"prosody": {"hidden": 4, "targets": "normalised"}}}
    code = _code("pretrain", PretrainConfig, run, prepared, features.with_suffix(".json"))
    arguments = [
        "--config",
        json.dumps(run),
        code,
        *given,
        f"--features=prosody={features}",
        f"--output={folder / 'new'}",
    ]
    for path in (features, features.with_suffix(".json")):
        yield Use(path=path, command=pretrain, arguments=arguments)
    weights = folder / "weighted" / "weights.json"
    weights.parent.mkdir()
    weights.write_text(json.dumps({"weights": {"lps": 1.25 + seed, "mfcc": 0.75}}))
    seal(weights, code=f"c{seed}", config={})
    run = pretrain_config() | {"weighting": {"name": "reweighted", "options": {}}}
    code = _code("pretrain", PretrainConfig, run, prepared, weights.with_name("weigh.json"))
    arguments = ["--config", json.dumps(run), code, *given, f"--weights={weights}", f"--output={folder / 'new'}"]
    for path in (weights, weights.with_name("weigh.json")):
        yield Use(path=path, command=pretrain, arguments=arguments)
    losses = _write_losses(folder / "source", seed)
    source = PretrainConfig.from_json(json.dumps(pretrain_config())).to_plain()
    seal(losses, code=f"s{seed}", config_digest=digest(source), data={"tones": corpus.facts.digest})
    weighed = {"weighting": {"name": "reweighted", "options": {"epochs": 2}}, "run": source, "code": f"s{seed}"}
    arguments = [
        "--config",
        json.dumps(weighed),
        "--code=w",
        *given,
        f"--source={losses.parent}",
        f"--output={folder / 'w.json'}",
    ]
    yield Use(path=losses, command=weigh, arguments=arguments)
    # extraction reads what it decodes
    extracted = {"worker": "prosody", "sample_rate": 16000}
    code = _code("extract", ExtractConfig, extracted, prepared)
    arguments = ["--config", json.dumps(extracted), code, *given, f"--output={folder / 'x.npy'}"]
    yield Use(path=corpus.folder / "audio.int16", command=extract, arguments=arguments)


def _write_preparation(corpus: Corpus, seed: int) -> Path:
    """Write the record of the job that prepared a corpus; each seed has a code of its own."""
    record = corpus.folder / "record.json"
    data = {corpus.facts.dataset: corpus.facts.digest}
    files = checksums(corpus.folder / "corpus.json")
    write_record(record, {"code": f"{CODE}-{seed}", "config": {}, "data": data}, files=files)
    return record


def _code(command: str, kind: type[JobConfig], config: Mapping[str, Any], *upstream: Path) -> str:
    """Return the flag of the planned digest of a job that reads the results with these records."""
    own = code_digest(command, chosen=kind.from_json(json.dumps(config)).modules())
    jobs = [(record["code"], json.dumps(record["config"], sort_keys=True)) for record in map(read_record, upstream)]
    return f"--code={job_digest(own, jobs)}"


def _of_statistics(folder: Path, seed: int) -> Iterator[Use]:
    code = f"{CODE}-{seed}"  # covers the jobs upstream, so that each run has its own
    results = Results(folder)
    for place, encoder in enumerate(("pase", "random", "handcrafted")):
        results.predict(factors(encoder, "frozen", "openmic"), 1 + place / 3, seed=place + seed, trials=3)
    opened = write_corpus(folder / "openmic", clips=20, seconds=0.1, seed=seed)
    corpus = opened.folder
    (corpus / "quarantine.csv").write_text(f"clip,reason\na{seed},silent\nb,truncated\n")
    seal(corpus / "quarantine.csv", quarantined=2)
    prepared = _write_preparation(opened, seed)
    audit = folder / "audits" / "openmic.json"
    audit.parent.mkdir()
    audit.with_suffix(".csv").write_text(f"{OVERLAPS}near,True,c{seed},test,music,d,valid,0.8,1.0,0.5,\n")
    seal(audit.with_suffix(".csv"), record=audit, **AUDIT, leaks=seed, code=code, config={})
    run = {"folder": str(folder / "unet"), "factors": dict.fromkeys(PRETRAINING, "unet"), "separation_code": code}
    quality = dict.fromkeys(("si_sdr", "si_sdr_gain", "sdr", "sdr_gain"), 1.5 + seed) | {"songs": 3}
    separation = folder / "unet" / "separation.json"
    write_record(separation, {"code": code, "source": "twin", "sources": {"bass": quality}}, files={})
    results.manifest |= {"corpora": [str(corpus)], "audits": [str(audit)], "pretrained_runs": [run]}
    results.manifest["jobs"] = [["prepare", *map(str, (corpus / "corpus.json", prepared, "log")), code, digest({})]]
    results.manifest["audit_jobs"] = [["audit", *map(str, (audit, audit, "log")), code, digest({})]]
    for planned in results.manifest["cells"]:
        planned |= {"jobs": [0]}
    cell, statistics = Path(results.manifest["cells"][0]["path"]), folder / "statistics"
    plan, figures = Path(results.manifest_file()), folder / "figures"
    read = [f"--manifest={statistics / 'plan.json'}", f"--statistics={statistics}"]
    arguments = [f"--manifest={plan}", f"--output={statistics}"]
    yield Use(path=cell, command=aggregate, arguments=arguments, may_be_missing=True)  # after a run that failed
    arguments.append(f"--digest={read_manifest(str(plan)).digest}")
    aggregate.main(arguments)
    (statistics / "plan.json").write_bytes(plan.read_bytes())
    for path in (cell.with_name("predictions.npz"), cell.with_name("record.json"), plan):
        yield Use(path=path, command=aggregate, arguments=arguments)
    arguments = [*read, f"--output={folder / 'tables'}"]
    tabulate.main(arguments)
    for name in ("entries.csv", "comparisons.csv", "variance.csv", "reproduction.csv", "summary.json", "plan.json"):
        yield Use(path=statistics / name, command=tabulate, arguments=arguments)
    yield Use(path=separation, command=tabulate, arguments=arguments, may_be_missing=True)
    draw.main([*read, f"--output={figures}"])
    arguments = [*read, f"--figures={figures}", f"--output={folder / 'report'}"]
    compose.main(arguments)
    for path in (statistics / "cells.csv", figures / "fig2.csv", corpus / "quarantine.csv", audit.with_suffix(".csv")):
        yield Use(path=path, command=compose, arguments=arguments)
    for path in (figures / "fig2.svg", audit):  # inputs of its rule
        yield Use(path=path, command=compose, arguments=arguments, may_be_missing=True)


def _write_losses(folder: Path, seed: int) -> Path:
    folder.mkdir()
    path = folder / "losses.csv"
    table = pd.DataFrame(LOSSES, columns=["epoch", "split", "worker", "loss"]).assign(weight=1.0)
    table.assign(loss=table["loss"] + seed).to_csv(path, index=False)
    return path


@contextlib.contextmanager
def damaged(contents: Mapping[Path, bytes | None]) -> Iterator[None]:
    """Replace files, or delete those with a content of None, with time stamps kept; restore them afterwards."""
    whole = {path: path.read_bytes() for path in contents}
    for path, content in contents.items():
        status = path.stat()
        path.unlink()
        if content is not None:
            path.write_bytes(content)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    try:
        yield
    finally:
        for path, content in whole.items():
            path.write_bytes(content)


def job_files(path: Path) -> set[str]:
    """Return the names of all files of the job that wrote one, its records included."""
    names, records = (
        {path.name},
        [json.loads(file.read_text()) | {"name": file.name} for file in path.parent.glob("*.json")],
    )
    groups = [{record["name"], *record.get(CHECKSUMS, {})} - {OWN} for record in records]
    for _ in groups:  # the record of a corpus names another record
        names |= {name for group in groups if group & names for name in group}
    return names


def message_of(use: Use) -> str:
    """Return the line with which the next command ends or leaves out a figure, or nothing if it uses the file."""
    with contextlib.redirect_stderr(io.StringIO()) as log:
        try:
            use.command.main(use.arguments)
        except UserError as error:
            return str(error) if "\n" not in str(error) else ""
    lines = [
        line
        for line in log.getvalue().splitlines()
        if line.startswith("prelude: ") and str(use.path.with_suffix("")) in line
    ]
    return lines[0] if lines else ""


def outcomes(folder: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield kind of file, kind of damage, the command that reads it, and its line."""
    uses = write_all(folder / "one", seed=0)
    with patch.object(synthetic_results, "CODE", f"{CODE}-other"):
        others = write_all(folder / "two", seed=1)
    for use, other in zip(uses, others, strict=True):
        whole, reader = use.path.read_bytes(), use.command.__name__.rpartition(".")[2]
        contents: Mapping[str, Any] = {name: damage(whole, use) for name, damage in DAMAGES.items()}
        contents |= {"of another run": other.path.read_bytes()}
        contents = {name: content for name, content in contents.items() if content not in (None, whole)}
        contents |= {} if use.may_be_missing else {"deleted": None}
        for name, content in contents.items():
            with damaged({use.path: content}):
                yield use.path.name, name, reader, message_of(use)
        swapped = {use.path.with_name(name): other.path.with_name(name).read_bytes() for name in job_files(use.path)}
        if len(swapped) > 1:
            with damaged(swapped):
                yield use.path.name, SWAPPED, reader, message_of(use)


def test_no_damage_is_used_in_silence_or_ends_in_a_traceback(tmp_path: Path) -> None:
    seen = list(outcomes(tmp_path))
    assert len(seen) > 180
    unnoticed = [(file, damage, reader) for file, damage, reader, line in seen if not line]
    assert unnoticed == []
    remedies = (
        "run again",
        "run the workflow again",
        "prepare the data set first",
        "run aggregate first",
        "run draw first",
        "delete it first",
        "no such file",
        "computed again",
    )
    assert [line for *_, line in seen if not any(remedy in line for remedy in remedies)] == []


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        seen = list(outcomes(Path(folder)))
    names = [*DAMAGES, "of another run", "deleted", SWAPPED]
    print("| file | read by | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 2) + "|")
    for file, reader in dict.fromkeys((file, reader) for file, _, reader, _ in seen):
        of_file = {damage: line for name, damage, by, line in seen if (name, by) == (file, reader)}
        row = [("noticed" if of_file[name] else "SILENT") if name in of_file else "" for name in names]
        print(f"| {file} | {reader} | " + " | ".join(row) + " |")
    print(Counter("noticed" if line else "silent" for *_, line in seen))


if __name__ == "__main__":
    main()
