"""Write the listening page of a study: an offline folder with `index.html`, its data and, if asked for, its audio.

    python -m workflow_scripts.write_listening_page --config JSON --code DIGEST --output DIR
        --corpus NAME=DIR ... --embeddings NAME=FILE.npy ... --head NAME=FILE.safetensors ...

The config states `study`, `title`, `encoder` (its name), `rows` (clips or crops), `datasets` (labels by name), `heads`
(their levels) and `audio`, the data sets whose audio is included. Every data set has a corpus, embeddings by the same
encoder, and a kept head.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.audio.planned_inputs import require_planned_inputs
from workflow_scripts.configuration.jobs.write_listening_page import WriteListeningPageConfig
from workflow_scripts.core import array_files, result_files
from workflow_scripts.core.checksums import checksums, read_record, require_unchanged, write_record
from workflow_scripts.core.cli import job_parser
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.progress import track
from workflow_scripts.core.provenance import Record
from workflow_scripts.evaluation.crops import Crops
from workflow_scripts.evaluation.kept_head_scores import score_clips
from workflow_scripts.report.listening_page import AUDIO, HeadScores, ListeningSet, Row, clear_audio, write_page
from workflow_scripts.statistics.kept_heads import KeptHead, read_head
from workflow_scripts.synthesis.encode import encode_audio

NOT_INCLUDED = (
    "The audio of {sets} is not included, since its licence does not allow to pass it on or states nothing. If this "
    "page stays with you, set listening: {{audio: true}} in the study and run again."
)


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    arguments = _parser().parse_args(argv)
    config: WriteListeningPageConfig = arguments.config
    record = Record(config=config.to_plain(), code=arguments.code)
    paths = {flag: dict(getattr(arguments, flag)) for flag in ("corpus", "embeddings", "head")}
    for flag, by_name in paths.items():
        if by_name.keys() != config.datasets.keys():
            raise UserError(f"--{flag}: give one for each data set of the config: {', '.join(config.datasets)}")
    inputs = {name: _Input.read(paths["corpus"][name], paths["embeddings"][name]) for name in config.datasets}
    results = [paths[flag][name] for name in config.datasets for flag in ("embeddings", "head")]
    require_planned_inputs(arguments.code, corpora=[item.corpus for item in inputs.values()], results=results)
    heads = {config.datasets[name]: read_head(path) for name, path in paths["head"].items()}
    clear_audio(arguments.output)
    sets = [_build_set(name, inputs[name], heads, config, folder=arguments.output) for name in config.datasets]
    silent = [label for name, label in config.datasets.items() if name not in config.audio]
    written = write_page(
        arguments.output,
        sets,
        study=config.study,
        title=config.title,
        encoder=config.encoder,
        notes=[NOT_INCLUDED.format(sets=" and ".join(silent))] if silent else [],
    )
    data = {item.corpus.facts.dataset: item.corpus.facts.digest for item in inputs.values()}
    write_record(
        arguments.output / result_files.RECORD, record.content(data=data, device="cpu"), files=checksums(*written)
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Input:
    """A corpus with the embeddings of all its crops, and the rows of its test clips."""

    corpus: Corpus
    embeddings: np.ndarray
    crop_length: int | None

    @classmethod
    def read(cls, corpus: Path, embeddings: Path) -> _Input:
        """Read both; `UserError` if they do not belong together."""
        require_unchanged(embeddings)
        stored, record = Corpus(corpus), read_record(result_files.record_of(embeddings))
        item = cls(
            corpus=stored,
            embeddings=array_files.map_matrix(embeddings, remedy="run embed again"),
            crop_length=record.get("crop_length"),
        )
        if len(item.embeddings) != item.crops.offsets[-1]:
            raise UserError(f"{embeddings} is stale: it was computed from other data than {corpus}; run embed again")
        return item

    @property
    def crops(self) -> Crops:
        """The crops of all clips."""
        return Crops.from_lengths(self.corpus.lengths, self.crop_length)


def _build_set(
    name: str, item: _Input, heads: Mapping[str, KeptHead], config: WriteListeningPageConfig, *, folder: Path
) -> ListeningSet:
    """Return the rows of a data set, after its audio is written."""
    corpus, clips = item.corpus, item.corpus.rows("test")
    vectors, crops = np.asarray(item.embeddings[item.crops.rows(clips)]), item.crops.select(clips)
    by_crop = config.rows == "crops"
    activations = vectors if by_crop else crops.pool(vectors)
    own = Crops(np.arange(len(vectors) + 1)) if by_crop else crops
    if name in config.audio:
        _write_audio(corpus, clips, folder=folder / AUDIO / name)
    rows = list(_list_rows(name, item, clips, by_crop=by_crop, audio=name in config.audio))
    return ListeningSet(
        name=name,
        label=config.datasets[name],
        classes=tuple(corpus.facts.classes),
        rows=rows,
        activations=activations,
        heads=[
            HeadScores(label=label, classes=head.classes, scores=score_clips(head, vectors, crops=own))
            for label, head in heads.items()
        ],
    )


def _list_rows(name: str, item: _Input, clips: np.ndarray, *, by_crop: bool, audio: bool) -> Iterator[Row]:
    """Yield a row for each clip, or for each crop; a player of a crop plays its part of the clip."""
    table, rate = item.corpus.clips, item.corpus.facts.sample_rate
    for clip in clips:
        labels = tuple(int(place) for place in np.flatnonzero(item.corpus.labels[clip] == 1))
        for segment in range(int(item.crops.counts[clip]) if by_crop else 1):
            seconds = (item.crop_length or 0) / rate
            part = f"#t={segment * seconds:.3f},{(segment + 1) * seconds:.3f}" if by_crop and seconds else ""
            yield Row(
                clip=str(table["clip"].iloc[clip]),
                group=str(table["group"].iloc[clip]),
                segment=segment,
                labels=labels,
                audio=f"{AUDIO}/{name}/{clip}.ogg{part}" if audio else "",
            )


def _write_audio(corpus: Corpus, clips: np.ndarray, *, folder: Path) -> None:
    """Write the clips as Ogg Vorbis, by their rows in the corpus: ids may be no file names."""
    folder.mkdir(parents=True)
    for clip in track(clips, description="audio", total=len(clips)):
        content = encode_audio(corpus.cut(int(clip)), sample_rate=corpus.facts.sample_rate, suffix=".ogg")
        (folder / f"{clip}.ogg").write_bytes(content)


def _named_path(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=PATH")
    return name, Path(path)


def _parser() -> argparse.ArgumentParser:
    parser = job_parser(
        "write_listening_page", __doc__, config=WriteListeningPageConfig.from_json, output="folder of the page"
    )
    for flag, help_text in (
        ("corpus", "corpus of a data set"),
        ("embeddings", "embeddings of a data set"),
        ("head", "head.safetensors that a cell on the data set keeps"),
    ):
        parser.add_argument(
            f"--{flag}", action="append", default=[], required=True, type=_named_path, metavar="NAME=PATH",
            help=f"{help_text} (repeatable)",
        )  # fmt: skip
    return parser


if __name__ == "__main__":
    run_command(main)
