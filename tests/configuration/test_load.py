"""A bad config ends in one line that names file, key and allowed values."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from tests.checkout import REPOSITORY
from workflow_scripts.configuration.config import Config
from workflow_scripts.configuration.load import load
from workflow_scripts.configuration.study import Grid, StudyConfig
from workflow_scripts.configuration.yaml_files import merge, read_yaml
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import validate

FOLDER = REPOSITORY / "config"
PAPER = FOLDER / "config.yaml"


def check(text: str, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Check a config file given over config.yaml, as Snakemake merges them."""
    file = tmp_path / "own.yaml"
    file.write_text(text, encoding="utf-8")
    return check_files(PAPER, file)


def check_files(*files: Path) -> dict[str, dict[str, Any]]:
    merged: dict[str, Any] = {}
    for file in files:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        update_config(merged, content if isinstance(content, dict) else {})
    return plain(load(list(files), folder=FOLDER, merged=merged))


def plain(loaded: tuple[Config, dict[str, StudyConfig]]) -> dict[str, dict[str, Any]]:
    return {name: study.to_plain() for name, study in loaded[1].items()}


SHIPPED = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_configs_are_good(name: str) -> None:
    assert check_files(PAPER, FOLDER / f"{name}.yaml")


@pytest.mark.parametrize("name", SHIPPED)
def test_configs_merge_as_snakemake_merges_them(name: str) -> None:
    expected: dict[str, Any] = {}
    for file in (PAPER, FOLDER / f"{name}.yaml"):
        update_config(expected, yaml.safe_load(file.read_text(encoding="utf-8")))
    assert merge([read_yaml(PAPER), read_yaml(FOLDER / f"{name}.yaml")]) == expected


BAD = {
    "entry of a name of its own without a file": (
        "augmentations: {loud: {level: gian, probability: 1}}",
        r"own.yaml: augmentations.loud: unknown augmentation 'gian' \(did you mean gain\?\); allowed: .*gain",
    ),
    "entry with an option its file lacks": (
        "workers: {cold: {level: contrastive, degrees: 0.1}}",
        r"own.yaml: workers.cold: unknown key 'degrees'; allowed: .*temperature",
    ),
    "entry of an unknown file": (
        "encoders: {mine: {level: wavenet}}",
        r"own.yaml: encoders.mine: unknown encoder 'wavenet'; allowed: cpc, ",
    ),
    "untrained level that is no encoder": (
        "workers: {mfcc: {trained: false}}",
        r"own.yaml: workers.mfcc.trained: False is not allowed; only encoders may be untrained: remove it",
    ),
    "untrained in other words": (
        "encoders: {random: {trained: nope}}",
        r"own.yaml: encoders.random.trained: 'nope' is not allowed; allowed: true or false",
    ),
    "label that is no text": ("encoders: {pase: {label: 3}}", r"own.yaml: encoders.pase.label: 3 .*allowed: text"),
    "second entry of a worker that stores targets": (
        "workers: {other_prosody: {level: prosody}}",
        r"own.yaml: workers.other_prosody: prosody stores its targets under its own name: call it prosody",
    ),
    "worker set with two entries of one worker": (
        "workers: {contrastive: {}, cold: {level: contrastive}}\nworker_sets: {two: [contrastive, cold]}",
        r"own.yaml: worker_sets.two: contrastive and cold are the same level, contrastive; allowed: one of them",
    ),
    "trim of grids as a list": ("trim: {wu2021_fig2: {grids: [cpc]}}", r"trim.wu2021_fig2.grids: \['cpc'\] .*"),
    "trim of a grid to one level": (
        "trim: {spijkervet2021_table6_1: {grids: {cpc: {encoder: pase}}}}",
        r"own.yaml: trim.spijkervet2021_table6_1.grids.cpc.encoder: 'pase' has the wrong type; allowed: a list",
    ),
    "trim of a grid to no levels": (
        "trim: {spijkervet2021_table6_1: {grids: {cpc: pase}}}",
        r"own.yaml: trim.spijkervet2021_table6_1.grids.cpc: 'pase' has the wrong type; allowed: keys and values",
    ),
    "trim of a grid by an empty list": (
        "trim: {spijkervet2021_table6_1: {grids: {cpc: {encoder: []}}}}",
        r"own.yaml: trim.spijkervet2021_table6_1.grids.cpc.encoder: \[\] is not allowed; allowed: at least 1 entry",
    ),
    "all grids left out": (
        "trim: {spijkervet2021_fig1_1: {grids: {cpc: null, clmr: null, supervised: null}}}",
        r"own.yaml: trim.spijkervet2021_fig1_1.grids: \{\} is not allowed; allowed: at least 1 entry",
    ),
    "metric that a data set cannot have": (
        "trim: {spijkervet2021_table6_3: {dataset: [gtzan]}}",
        r"metric: pr_auc cannot be measured on gtzan; allowed: macro_f1, accuracy, balanced_accuracy",
    ),
    "metrics that a data set cannot have": (
        "trim: {wu2021_fig2: {metrics: {openmic: [macro_f1, balanced_accuracy]}}}",
        r"metrics.openmic: balanced_accuracy cannot be measured on openmic; allowed: macro_f1, .*",
    ),
    "metrics without that of the figure": (
        "trim: {wu2021_fig2: {metrics: {openmic: [roc_auc]}}}",
        r"metrics.openmic: the figure needs macro_f1, so the table must show it",
    ),
    "metrics of an unknown data set": (
        "trim: {wu2021_fig2: {metrics: {openmics: [roc_auc]}}}",
        r"trim.wu2021_fig2.metrics: unknown data set 'openmics' \(did you mean openmic\?\); allowed: .*",
    ),
    "no labels": ("trim: {wu2021_fig2: {fraction: [0pct]}}", r"trim.wu2021_fig2.fraction.0: '0pct' has the wrong form"),
    "trim of an unknown grid": (
        "trim: {wu2021_fig2: {grids: {cpc: null}}}",
        r"trim.wu2021_fig2.grids: unknown grid 'cpc'; allowed: none",
    ),
    "unknown key": (
        "colour: red",
        r"own.yaml: unknown key 'colour'; allowed: augmentations, checkpoints, data, datasets",
    ),
    "unknown nested key": (
        "recipes: {wu2021: {epoch: 3}}",
        r"own.yaml: recipes.wu2021: unknown key 'epoch' \(did you mean epochs\?\); allowed: .*batch, .*epochs",
    ),
    "wrong type": (
        "recipes: {wu2021: {batch: many}}",
        r"own.yaml: recipes.wu2021.batch: 'many' .*allowed: a whole number",
    ),
    "not in the list": (
        "datasets: {openmic: {source: torrent}}",
        r"own.yaml: datasets.openmic.source: 'torrent' .*allowed: download, local, twin",
    ),
    "below the limit": (
        "protocols: {wu2021: {trials: 0}}",
        r"own.yaml: protocols.wu2021.trials: 0 is not allowed; allowed: at least 1",
    ),
    "missing number": (
        "recipes: {mine: {epochs: 3}}",
        r"own.yaml: recipes.mine: 'batch' is missing; allowed: a whole number",
    ),
    "unknown level": ("encoders: {wavenet: {}}", r"own.yaml: encoders.wavenet: unknown encoder 'wavenet'; .*pase"),
    "unknown option": ("encoders: {pase: {layers: 3}}", r"own.yaml: encoders.pase: unknown key 'layers'; .*embedding"),
    "too few values of an option": (
        "augmentations: {filter: {low_pass: [2200]}}",
        r"own.yaml: augmentations.filter.low_pass: \[2200\] has the wrong type; allowed: a list \(a number, a number\)",
    ),
    "option of a wrong type": (
        "encoders: {pase: {embedding: large}}",
        r"own.yaml: encoders.pase.embedding: 'large' has the wrong type; allowed: a whole number",
    ),
    "unknown loader": (
        "datasets: {mine: {loader: jamendo, source: download}}",
        r"own.yaml: datasets.mine.loader: unknown dataset 'jamendo'; allowed: .*openmic",
    ),
    "half a data set": (
        "datasets: {mine: {loader: folder}}",
        r"own.yaml: datasets.mine: 'source' is missing; allowed: download, local, twin",
    ),
    "local without a path": (
        "datasets: {mine: {loader: folder, source: local}}",
        r"own.yaml: datasets.mine: source local needs a path",
    ),
    "twin without a size": (
        "datasets: {openmic: {source: twin}}",
        r"own.yaml: datasets.openmic: source twin needs twin: \{clips",
    ),
    "unknown worker": (
        "worker_sets: {WX: [waveform, rhythmogram]}",
        r"own.yaml: worker_sets.WX: unknown worker 'rhythmogram' \(did you mean tempogram\?\); allowed: waveform, lps",
    ),
    "checkpoint of an unknown encoder": (
        "checkpoints: {official: {encoder: wavenet, path: x.ckpt}}",
        r"own.yaml: checkpoints.official.encoder: unknown trainable encoder 'wavenet'; allowed: .*pase_plus",
    ),
    "checkpoint with another's option": (
        "checkpoints: {official: {encoder: pase, path: x.ckpt, options: {rnn_layers: 2}}}",
        r"own.yaml: checkpoints.official.options: unknown key 'rnn_layers'; allowed: embedding, width",
    ),
    "checkpoint named as a data set": (
        "checkpoints: {openmic: {encoder: pase, path: x.ckpt}}",
        r"own.yaml: checkpoints.openmic: is also a data set",
    ),
    "checkpoint of a floor": (
        "checkpoints: {official: {encoder: random_plus, path: x.ckpt}}",
        r"own.yaml: checkpoints.official.encoder: unknown trainable encoder 'random_plus'",
    ),
    "option of a checkpoint that is stated twice": (
        "checkpoints: {mine: {encoder: module, path: mine.py, sample_rate: 8000, options: {sample_rate: 16000}}}",
        r"own.yaml: checkpoints.mine: sample_rate is stated twice, here and in options: leave it out of options",
    ),
    "the name of nothing": (
        "checkpoints: {none: {encoder: pase, path: x.ckpt}}",
        r"own.yaml: checkpoints: 'none' has the wrong form; allowed: .*but not none",
    ),
    "weights without validation": (
        "trim: {wu2021_fig3: {recipe: [mine]}}\nrecipes: {mine: {epochs: 2, batch: 4, chunk_seconds: 1, "
        "encoder_learning_rate: 0.1, worker_learning_rate: 0.1, schedule: poly, validation_batches: 0}}",
        r"grid.weighting: reweighted needs validation losses: set recipes.mine.validation_batches above 0",
    ),
    "rows by no factor": (
        "trim: {wu2021_fig2: {rows: [encoder, scenario, colour]}}",
        r"trim.wu2021_fig2.rows: unknown factor 'colour'; allowed: corpus, encoder",
    ),
    "unknown checkpoint": (
        "trim: {wu2021_fig2: {checkpoints: [official]}}",
        r"checkpoints: unknown checkpoint 'official'; allowed: musicnn_msd, musicnn_mtt",
    ),
    "name that is no path segment": ("recipes: {../up: {}}", r"own.yaml: recipes: '../up' .*letters, digits"),
    "unknown study": ("studies: [fig99]", r"own.yaml: studies: unknown study 'fig99'; allowed: .*wu2021_fig2"),
    "trim of another study": (
        "trim: {fig99: {}}",
        r"own.yaml: trim: unknown study 'fig99'; allowed: .*wu2021_fig2",
    ),
    "trim of no factor": (
        "trim: {wu2021_fig2: {colour: [red]}}",
        r"own.yaml: trim.wu2021_fig2: unknown key 'colour'; allowed: corpus, encoder",
    ),
    "level not in the config": (
        "trim: {wu2021_fig2: {recipe: [overnight]}}",
        r"own.yaml: trim.wu2021_fig2.recipe: unknown recipe 'overnight'; allowed: wu2021",
    ),
    "untrainable encoder to be trained": (
        "trim: {wu2021_fig2: {encoder: [handcrafted], comparisons: []}}",
        r"own.yaml: trim.wu2021_fig2.encoder: handcrafted cannot be trained, make it a floor; allowed: pase",
    ),
    "trainable floor": (
        "trim: {wu2021_fig2: {floors: [pase], comparisons: []}}",
        r"floors: pase can be trained, so it is no floor; allowed: random, random_plus, .*handcrafted",
    ),
    "external network to be trained": (
        "trim: {wu2021_fig2: {encoder: [module], comparisons: []}}",
        r"own.yaml: trim.wu2021_fig2.encoder: the network of module is not part of Prelude: make it an entry of the "
        r"config's checkpoints, and name that in trim.wu2021_fig2.checkpoints$",
    ),
    "external network as a floor": (
        "encoders: {start: {level: module, path: a.py, trained: false}}\ntrim: {wu2021_fig2: {floors: [start]}}",
        r"own.yaml: trim.wu2021_fig2.floors: the network of start is not part of Prelude, so it is no floor",
    ),
    "evaluation without labels": (
        "trim: {wu2021_fig2: {dataset: [audioset_music]}}",
        r"own.yaml: trim.wu2021_fig2.dataset: audioset_music has no labels",
    ),
    "trimmed to no fraction": (
        "trim: {wu2021_fig2: {fraction: [banana]}}",
        r"own.yaml: trim.wu2021_fig2.fraction.0: 'banana' has the wrong form; allowed: a percentage",
    ),
    "more than all labels": (
        "trim: {wu2021_fig2: {fraction: [200pct]}}",
        r"own.yaml: trim.wu2021_fig2.fraction.0: '200pct' .*at most 100",
    ),
    "trimmed to nothing": (
        "trim: {wu2021_fig2: {dataset: []}}",
        r"own.yaml: trim.wu2021_fig2.dataset: \[\] is not allowed; allowed: at least 1 entry",
    ),
    "level of a wrong type": (
        "trim: {wu2021_fig2: {dataset: [{a: 1}]}}",
        r"own.yaml: trim.wu2021_fig2.dataset.0: \{'a': 1\} .*allowed: text",
    ),
    "comparison of a wrong type": (
        "trim: {wu2021_fig2: {comparisons: [3]}}",
        r"own.yaml: trim.wu2021_fig2.comparisons.0: 3 .*allowed: keys and values",
    ),
    "a fraction that no entry states": (
        "trim: {wu2021_fig2: {fraction: [10pct_segments_of_mine]}}",
        r"own.yaml: trim.wu2021_fig2.fraction: unknown fraction '10pct_segments_of_mine'.*allowed: 50pct_segments",
    ),
    "rule of all labels": (
        "fractions: {100pct_segments: {subset: clips}}",
        r"own.yaml: fractions: '100pct_segments' has the wrong form; allowed: a percentage above 0 and below 100 with",
    ),
    "rule of a plain percentage": (
        "fractions: {10pct: {subset: segments_powerset}}",
        r"own.yaml: fractions: '10pct' has the wrong form; allowed: .* such as 10pct_segments",
    ),
    "fractions that differ in case": (
        "fractions: {10pct_Segments: {subset: segments_powerset}}",
        r"own.yaml: fractions.10pct_Segments: differs from 10pct_segments only in case",
    ),
    "levels the table cannot show": (
        "trim: {wu2021_fig2: {fraction: [100pct, 10pct]}}",
        r"own.yaml: trim.wu2021_fig2.fraction: 2 levels, but the table .*allowed of: dataset, encoder, scenario",
    ),
    "numbers of an unknown scenario": (
        "protocols: {common: {scenarios: {frozn: {trials: 2}}}}",
        r"protocols.common.scenarios: unknown scenario 'frozn' \(did you mean frozen\?\); allowed: fine_tuned, frozen",
    ),
    "validation split that is trained on and stops heads": (
        "trim: {spijkervet2021_table6_2: {grids: {clmr: {corpus: [fma_medium, magnatagatune]}}}}\n"
        "studies: [spijkervet2021_table6_2]",
        r"spijkervet2021_table6_2.yaml: grid.recipe: clmr_48_clips trains on the validation split "
        r"\(with_validation\), by which heads on magnatagatune stop: choose another recipe or corpus",
    ),
    "protocol that contradicts itself for a head": (
        "protocols: {common: {heads: {mlp: {phases: [{optimiser: adam, learning_rate: 0.1}]}}}}",
        r"own.yaml: protocols.common: phases have learning rates of their own: set learning_rates: \[\]",
    ),
    "unknown protocol": (
        "trim: {wu2021_fig2: {protocol: [wu2020]}}",
        r"trim.wu2021_fig2.protocol: unknown protocol 'wu2020' \(did you mean wu2021\?\); allowed: common, wu2021",
    ),
    "download of what cannot be": (
        "datasets: {extended_ballroom: {source: download}}",
        r"own.yaml: datasets.extended_ballroom.source: extended_ballroom cannot be downloaded; allowed: local, twin",
    ),
    "another network as the untrained one": (
        "encoders: {random: {embedding: 128}}",
        r"floors: random is pase untrained, so encoders.random and encoders.pase must have the same options",
    ),
    "a path Snakemake would misread": ("data: 'my {x} data'", r"own.yaml: data: 'my \{x\} data' .*without \{ \}"),
    "unknown kind of figure": (
        "trim: {wu2021_fig2: {figure: {kind: pie}}}",
        r"own.yaml: trim.wu2021_fig2.figure.kind: unknown figure 'pie'; allowed: activating_tags, activations",
    ),
    "figure without a kind": (
        "trim: {wu2021_fig2: {figure: {}}}",
        r"own.yaml: trim.wu2021_fig2.figure: 'kind' is missing",
    ),
    "option of another figure": (
        "trim: {wu2021_fig2: {figure: {kind: losses, baseline: {workers: WLP}}}}",
        r"own.yaml: trim.wu2021_fig2.figure: unknown key 'baseline'; allowed: epochs, weighted",
    ),
    "option of a figure of a wrong type": (
        "trim: {wu2021_fig2: {figure: {kind: losses, epochs: ten}}}",
        r"own.yaml: trim.wu2021_fig2.figure.epochs: 'ten' has the wrong type; allowed: a whole number",
    ),
    "figure of cells outside the grid": (
        "trim: {wu2021_fig2: {figure: {kind: relative, baseline: {workers: WLP}}}}",
        r"own.yaml: trim.wu2021_fig2.figure.baseline.workers: 'WLP' is not in the grid; allowed: WLPMCT",
    ),
    "figure of an unknown factor": (
        "trim: {wu2021_fig2: {figure: {kind: relative, baseline: {worker: WLP}}}}",
        r"trim.wu2021_fig2.figure.baseline: unknown factor 'worker' \(did you mean workers\?\); allowed: corpus",
    ),
    "difference of cells outside the grid": (
        "trim: {wu2021_fig2: {figure: {kind: confusions, matrix: {workers: WLPMCT},"
        " differences: [{of: {workers: WLPT}, over: {workers: WLPMCT}}]}}}",
        r"own.yaml: trim.wu2021_fig2.figure.differences.0.of.workers: 'WLPT' is not in the grid; allowed: WLPMCT",
    ),
    "difference that is no mapping": (
        "trim: {wu2021_fig2: {figure: {kind: confusions, matrix: {workers: WLPMCT}, differences: [WLP]}}}",
        r"own.yaml: trim.wu2021_fig2.figure.differences.0: 'WLP' has the wrong type; allowed: keys and values",
    ),
    "a warm-up that never ends": (
        "recipes: {wu2021: {warmup_epochs: 20}}",
        r"own.yaml: recipes.wu2021: warmup_epochs must be from 0 to below 20, not 20",
    ),
    "a probability above one": (
        "augmentations: {loud: {level: gain, probability: 1.5}}",
        r"own.yaml: augmentations.loud.probability: 1.5 is not allowed; allowed: at most 1",
    ),
    "a probability below zero in a chain": (
        "augmentations: {clmr_thesis: {reverb: -0.1}}",
        r"own.yaml: augmentations.clmr_thesis.reverb: -0.1 is not allowed; allowed: at least 0",
    ),
    "a temperature of zero": (
        "workers: {contrastive: {temperature: 0}}",
        r"own.yaml: workers.contrastive.temperature: 0 is not allowed; allowed: above 0",
    ),
    "an embedding of no size": (
        "encoders: {pase: {embedding: -1}}",
        r"own.yaml: encoders.pase.embedding: -1 is not allowed; allowed: at least 1",
    ),
    "an inaudible pitch": (
        "augmentations: {pitch: {lowest: -20000}}",
        r"own.yaml: augmentations.pitch.lowest: -20000 is not allowed; allowed: at least -1200",
    ),
    "a range of a worker's feature": (
        "workers: {prosody: {lowest_hz: 900, highest_hz: 300}}",
        r"own.yaml: workers.prosody: prosody needs 0 < lowest_hz < highest_hz <= 8000, not 900 and 300",
    ),
    "a figure of too many songs": (
        "trim: {wu2021_fig2: {figure: {kind: embedding_map, songs: 99}}}",
        r"figure.songs: 99 is not allowed; allowed: at most 36",
    ),
    "one of two views, and no two": (
        "trim: {wu2021_fig2: {augmentation: [gain]}}",
        r"grid: encoder pase with workers WLPMCT with augmentation gain .* one_sided needs a worker that compares two",
    ),
    "feature workers on an encoder of long frames": (
        "trim: {spijkervet2021_table6_6: {workers: [WLP]}}\nrecipes: {clmr_96: {join_songs: false}}",
        r"need a frame every 160 samples and the encoder has one every 59049: choose pase or pase_plus",
    ),
    "stored targets of joined songs": (
        "trim: {spijkervet2021_table6_6: {workers: [WLP]}}",
        r"recipe: join_songs cannot go with prosody: their stored targets end with each clip",
    ),
    "a chunk shorter than a worker needs": (
        "recipes: {cpc: {chunk_seconds: 0.2}}",
        r"predictive_coding predicts 20 frames ahead and a chunk has 10: choose longer chunks",
    ),
    "a context the encoder does not have": (
        "trim: {wu2021_fig2: {workers: [predictive_coding]}}",
        r"predictive_coding expects a context of 256 and the encoder has one of 0: set .* own_context to true",
    ),
    "a context of another width": (
        "encoders: {cpc: {width: 0.5}, random_cpc: {width: 0.5}}",
        r"predictive_coding expects a context of 256 and the encoder has one of 128",
    ),
    "a filter above the rate of the encoder": (
        "augmentations: {filter: {low_pass: [2200, 9000]}}\ntrim: {spijkervet2021_table6_5: {augmentation: [filter]}}",
        r"filter: cut-offs must go upwards from above 0 to at most 4000 Hz, half .* not from 2200 to 9000",
    ),
    "number that YAML reads as text": (
        "recipes: {wu2021: {encoder_learning_rate: 1e-3}}",
        r"own.yaml: recipes.wu2021.encoder_learning_rate: '1e-3' .*allowed: a number \(write 0.001\)",
    ),
    "number in quotes": (
        "recipes: {wu2021: {batch: '8'}}",
        r"own.yaml: recipes.wu2021.batch: '8' .*allowed: a whole number \(remove the quotes\)",
    ),
    "text of two words as the scale": (
        "scale: My thesis",
        r"own.yaml: scale: 'My thesis' has the wrong form; allowed: names of letters, digits, _ \. \+ -",
    ),
    "small number that YAML reads as text": (
        "recipes: {wu2021: {adam_epsilon: 1e-13}}",
        r"adam_epsilon: '1e-13' .*allowed: a number \(write 0.0000000000001\)",
    ),
    "infinite number": ("encoders: {pase: {width: .inf}}", r"width: inf has the wrong type; allowed: a number that is"),
    "number with a comma": (
        "recipes:\n  wu2021:\n    batch: 1,000\n",
        r"batch: '1,000' .*allowed: a whole number \(with a point, without separators\)",
    ),
    "whole number with a point": ("recipes: {wu2021: {batch: 8.0}}", r"batch: 8.0 .*a whole number \(write 8\)"),
    "number with a leading zero": ("recipes: {wu2021: {batch: 08}}", r"batch: '08' .*a whole number \(write 8\)"),
    "octal number of YAML 1.2": ("recipes: {wu2021: {batch: 0o10}}", r"batch: '0o10' .*a whole number \(write 8\)"),
    "yes in quotes": ("recipes: {wu2021: {join_songs: 'yes'}}", r"join_songs: 'yes' .*true or false \(write true\)"),
    "no as a text": ("scale: no", r"scale: false .*allowed: text \(YAML reads yes, no, on and off as true and false"),
    "number as a text": ("scale: 2024", r"scale: 2024 has the wrong type; allowed: text \(put it in quotes\)"),
    "text instead of a list": ("studies: wu2021_fig2", r"studies: 'wu2021_fig2' .*\(write \[wu2021_fig2\]\)"),
    "choice in capitals": (
        "recipes: {wu2021: {schedule: Poly}}",
        r"schedule: 'Poly' is not allowed \(did you mean poly\?",
    ),
    "results that begin as an option does": ("results: -rf", r"own.yaml: results: '-rf' .*not beginning with -"),
    "results of five thousand letters": (f"results: {'a' * 5000}", r"own.yaml: results: 'a+' .*at most 1,000"),
    "results that hold no character": ('results: "a\\0b"', r"own.yaml: results: 'a\\x00b' has the wrong form"),
    "path of a part that no disk holds": (f"data: b/{'a' * 300}", r"own.yaml: data: .* has the wrong form"),
    "name of two hundred letters": (f"recipes: {{{'a' * 200}: {{}}}}", r"own.yaml: recipes: 'a+' .*, at most 100"),
    "misspelt floor": (
        "trim: {wu2021_fig2: {floors: [randm]}}",
        r"own.yaml: trim.wu2021_fig2.floors: unknown floor 'randm' \(did you mean random\?\); "
        r"allowed: random, random_plus, (?!.*\bpase\b)",
    ),
    "misspelt data set in trim": (
        "trim: {wu2021_fig2: {dataset: [openmics]}}",
        r"own.yaml: trim.wu2021_fig2.dataset: unknown dataset 'openmics' \(did you mean openmic\?\); "
        r"allowed: openmic, (?!.*audioset)",
    ),
    "recipe of the user that does not go with a study": (
        "recipes: {wu2021: {join_songs: yes}}",
        r"recipe: join_songs cannot go with .*; see .*own.yaml: recipes.wu2021$",
    ),
    "misspelt section": ("recipies: {}", r"own.yaml: unknown key 'recipies' \(did you mean recipes\?\); allowed: .*"),
    "misspelt encoder in trim": (
        "trim: {wu2021_fig2: {encoder: [Pase]}}",
        r"own.yaml: trim.wu2021_fig2.encoder: unknown encoder 'Pase' \(did you mean pase\?\); "
        "allowed: pase, pase_plus, samplecnn, .*unet_multiple$",
    ),
    "corpus of a study that the config lacks": (
        "studies: [own_recordings]\ntrim: {own_recordings: {dataset: [gtzan], recipe: [wu2021], workers: [WLP]}}",
        r"studies/own_recordings.yaml: grid.corpus: unknown corpus 'unlabelled'.*; allowed: .*; "
        r"state yours in trim.own_recordings.corpus of the config$",
    ),
    "data sets that differ in case": (
        "datasets: {Styles: &a {loader: folder, source: local, path: a}, styles: *a}",
        r"own.yaml: datasets.styles: differs from Styles only in case, and some disks make one folder of both",
    ),
    "recipe that differs from another in case": (
        "recipes: {WU2021: {epochs: 1, batch: 2, chunk_seconds: 1, encoder_learning_rate: 0.1, schedule: poly,"
        " worker_learning_rate: 0.1}}",
        r"own.yaml: recipes.WU2021: differs from wu2021 only in case",
    ),
    "checkpoint that differs from a data set in case": (
        "checkpoints: {OpenMIC: {encoder: pase, path: x}}",
        r"own.yaml: checkpoints.OpenMIC: differs from openmic only in case",
    ),
    "nothing in place of a section": (
        "recipes: null",
        r"own.yaml: recipes: null has the wrong type; allowed: keys",
    ),
    "option that no encoder has": (
        "encoders: {pase: {embeding: 3}}",
        r"own.yaml: encoders.pase: unknown key 'embeding' \(did you mean embedding\?\); allowed: ",
    ),
    "comparison outside the grid": (
        "trim: {wu2021_fig2: {scenario: [supervised], comparisons: ["
        "{name: x, better: {scenario: frozen}, than: {encoder: random}}]}}",
        r"comparisons.0.better.scenario: 'frozen' is not in the grid; allowed: supervised",
    ),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_one_line(mistake: str, tmp_path: Path) -> None:
    text, message = BAD[mistake]
    with pytest.raises(UserError) as error:
        check(text, tmp_path)
    assert re.search(message, str(error.value)), str(error.value)
    assert "\n" not in str(error.value)


def test_comparisons_go_with_the_levels_that_are_trimmed_away(tmp_path: Path) -> None:
    studies = check("trim: {wu2021_fig2: {encoder: [pase], floors: [random]}}", tmp_path)
    compared = [comparison["name"] for comparison in studies["wu2021_fig2"]["comparisons"]]
    assert "frozen PASE against the same network untrained" in compared
    assert not any("PASE+" in name or "handcrafted" in name for name in compared)
    notes = studies["wu2021_fig2"]["notes"]
    assert "frozen PASE+ against frozen PASE" in notes
    assert "(encoder pase_plus is left out by trim)." in notes
    assert "Not compared: frozen PASE against handcrafted features (encoder handcrafted is left out by trim)." in notes


def test_an_untrimmed_study_keeps_everything() -> None:
    studies = check_files(PAPER)
    for name, study in studies.items():
        stated = yaml.safe_load((FOLDER / "studies" / f"{name}.yaml").read_text(encoding="utf-8"))
        assert study == stated | {"grid": validate(Grid, stated["grid"]).model_dump(mode="json")}, name


def test_imported_checkpoints_get_a_row_of_their_own(tmp_path: Path) -> None:
    text = "checkpoints: {mine: {encoder: pase, path: x}}\ntrim: {wu2021_fig2: {checkpoints: [mine]}}"
    assert check(text, tmp_path)["wu2021_fig2"]["rows"] == ["corpus", "encoder", "scenario"]


def with_study(folder: Path, study: dict[str, Any], **trim: Any) -> dict[str, Any]:
    """Check the smoke config with one study of its own, trimmed; return the study."""
    shutil.copytree(FOLDER, folder)
    (folder / "studies" / "own.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    config = read_yaml(PAPER) | {"studies": ["own"], "trim": {"own": trim}}
    return plain(load([], folder=folder, merged=config))["own"]


def two_grids() -> dict[str, Any]:
    """A study of PASE with one worker set and PASE+ with another."""
    study = yaml.safe_load((FOLDER / "studies" / "wu2021_fig2.yaml").read_text(encoding="utf-8"))
    study["grids"] = {"old": {"encoder": ["pase"], "workers": ["WLP"]}, "new": {"encoder": ["pase_plus"]}}
    return {**study, "comparisons": []}


def test_grids_of_a_study_are_checked_and_trimmed_by_name(tmp_path: Path) -> None:
    assert with_study(tmp_path / "both", two_grids())["grids"]["old"]["workers"] == ["WLP"]
    one = with_study(tmp_path / "one", two_grids(), grids={"old": None, "new": {"dataset": ["openmic"]}})
    assert one["grids"] == {"new": {"encoder": ["pase_plus"], "dataset": ["openmic"]}}
    with pytest.raises(UserError, match=r"config: trim.own.grids.old.workers: unknown workers 'XYZ'"):
        with_study(tmp_path / "unknown", two_grids(), grids={"old": {"workers": ["XYZ"]}})


def test_a_factor_needs_no_row_where_the_rows_determine_its_level(tmp_path: Path) -> None:
    assert with_study(tmp_path / "determined", two_grids()), "the encoder determines the worker set"
    with pytest.raises(UserError, match=r"grid.workers: 2 levels, but the table has no row or column for them"):
        with_study(tmp_path / "undetermined", two_grids(), grids={"new": {"workers": ["WLP", "WLPMCT"]}})
