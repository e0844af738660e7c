"""Documentation of the columns of all result files, generated: docs/result-columns.md.

python -m workflow_scripts.report.result_columns
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields

from workflow_scripts.core.files import write_text
from workflow_scripts.core.source import PACKAGE
from workflow_scripts.leakage.overlaps import Overlap
from workflow_scripts.levels import registry
from workflow_scripts.report.figure_inputs import LOSSES
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.report.separation import PrintedSeparation
from workflow_scripts.report.site import predictions
from workflow_scripts.statistics import trials, validation_curves
from workflow_scripts.statistics.reproduction import table as reproduction
from workflow_scripts.statistics.tables import schema

PAGE = PACKAGE.parent / "docs" / "result-columns.md"
COMMAND = "python -m workflow_scripts.report.result_columns"
INTRODUCTION = f"""\
# Columns of the result files

This page is generated from the columns that the program writes: do not edit it, but run
`{COMMAND}`.

Files under `statistics/` count metrics from 0 to 1; files under `tables/` and `figures/` have the printed unit (column
`unit`). The files under `tables/` are those of the statistics with further columns. "figures" are the csv files beside
the figures, or those of the kinds named. An empty field is a number or text that does not exist; `reason` states why.
A text that a spreadsheet would compute, such as one that begins with `=`, begins with an apostrophe here.
"""
MAX_KINDS = 3  # of figures that are named; a column of more is one of "figures"
#: meaning of each column; one that files use differently names them
MEANINGS = {
    "corpus": "level of the factor: data set of pre-training; `none` without",
    "encoder": "level of the factor",
    "workers": "level of the factor: set of workers; `none` without pre-training",
    "weighting": "level of the factor",
    "augmentation": "level of the factor",
    "recipe": "level of the factor",
    "pretrain_seed": "level of the factor: seed of pre-training",
    "dataset": "level of the factor: labelled data set",
    "head": "level of the factor",
    "scenario": "level of the factor; reproduction: as published",
    "fraction": "level of the factor: share of the training labels",
    "protocol": "level of the factor: numbers of downstream training",
    "study": "name of the study",
    "studies": "studies that use the cell",
    "metric": "name of the metric; reproduction: as published",
    "unit": "unit of the row's numbers",
    "kind": "`method` or `floor`; reproduction: whether our value is `measured`, `counted` or `chosen`; audits: what "
    "the clips have in common",
    "status": "`measured`, `missing` (cells were not run) or `refused` (it may not be computed)",
    "reason": "why a number is missing or was refused, or what limits it",
    "caveat": "whether the result rests on one pre-training seed",
    # trials
    "trial": "number of the trial",
    "seed": "seed of the trial, the same for every run",
    "value": "trials: the metric; reproduction: our value, in the unit of the published number; figures: the number "
    "drawn",
    "train_clips": "training clips of the trial; training_sizes: their mean over trials; classes: those that have the "
    "class",
    "valid_clips": "validation clips; classes: those that have the class",
    "test_clips": "test clips; classes: those that have the class",
    "quarantined": "clips of the data set that were left out",
    "source": "where the audio is from: `twin`, `local` or `download`; reproduction: of pre-training data too",
    "corpus_source": "source of the pre-training corpus",
    "trained_on": "data sets that others trained the encoder on, as its checkpoint states them",
    "tested_on_training_data": "whether the evaluated data set is one of these (‡); empty if none is stated",
    "short_clips": "training clips of that corpus that were shorter than a chunk and left out, of all",
    "code": "digest of the code, of all jobs behind the trial",
    "config": "digest of the config of the evaluation",
    "data_digest": "digest of the data set's content",
    "device": "processor or GPU of the trial",
    "seconds": "duration of the trial; confidence: duration of a window; audits: how much later the other clip begins",
    "epochs": "epochs of training",
    # estimates
    "mean": "mean, or mean difference (treatment minus reference); reproduction: the published number as printed",
    "std": "standard deviation of the replicates; variance: that a component gives to one trial; seeds: between "
    "pre-training seeds; reproduction: as published",
    "ci_low": f"lower end of the confidence interval ({CONFIDENCE}), not adjusted for the number of comparisons",
    "ci_high": f"upper end of the confidence interval ({CONFIDENCE}), not adjusted either",
    "half_width": "half the width of the interval; printed after ± where rounding hides any asymmetry",
    "variance_sources": "what the interval covers: trials, pre-training seeds, test set; without the test set it is "
    "for these test clips only",
    "se_pretraining_seed": "standard error due to pre-training seeds",
    "se_trial": "standard error due to trials",
    "se_test_set": "standard error due to the choice of test clips",
    "std_error": "standard error of the mean, of all sources together",
    "df": "degrees of freedom of the standard error",
    "replicate": "unit of analysis: `trials`, or `pretraining seeds` where a method has several",
    "n": "number of replicates, or of pairs; comparisons: of the treatment",
    "n_reference": "number of replicates of the reference",
    "n_trials": "trials of each cell, the fewest of all its cells",
    "n_pretraining_seeds": "pre-training seeds; 0 where nothing was pre-trained",
    "pretrain_seeds": "the pre-training seeds themselves",
    "clusters": "clusters of test clips that were resampled; empty if they were not",
    "rank_mark": "`best` of its column (★), or `tied` with it (†)",
    "learning_rate": "trials: learning rate that the trial took, empty with phases; entries: learning rate of the "
    "trials, those of the phases, or those that each trial tries",
    "n_learning_rates": "learning rates that each trial tries, to take the one with the lowest validation loss",
    "max_epochs": "limit of epochs of a trial",
    "n_at_max_epochs": "trials that ended at that limit, of all pre-training seeds",
    # classes
    "class": "class of the data set",
    "task": "`multiclass` (one class a clip) or `multilabel`",
    "observed_test_clips": "test clips of which it is known whether they have the class",
    # comparisons
    "comparison": "name of the comparison in the study",
    "treatment": "levels of the method in question",
    "reference": "levels of the method with which it is compared",
    "design": "`paired` or `unpaired` replicates",
    "p": "p of the t test, two-sided; out_of_domain: that of the agreement among random pairings of filters, one-sided",
    "p_holm": "p adjusted by Holm's method over the family",
    "family_size": "tests of the family: those of the study in this file",
    "verdict": "`better`, `worse` or `no difference shown`, after Holm's method; reproduction: verdict on the "
    "published number or claim",
    "effect": "difference in units of the standard deviation between pairs (d_z), or of either method's if unpaired",
    "sign_flip_p": "p of the sign-flip permutation test, for these test clips only",
    "fixed_test_set_ci_low": "lower end of the interval for these test clips only",
    "fixed_test_set_ci_high": "upper end of the interval for these test clips only",
    "fixed_test_set_p": "p for these test clips only",
    "fixed_test_set_p_holm": "the same, adjusted by Holm's method",
    "fixed_test_set_verdict": "verdict for these test clips only",
    "datasets": "data sets over which is averaged",
    "n_datasets": "their number",
    # ranks, variance, seeds
    "rank": "rank by the mean over the data sets, 1 is best; activations: place by activation, of a clip (`filter`) or "
    "of a filter (`clip`)",
    "rank_low": f"best rank in the {CONFIDENCE} interval, which holds for all methods at once",
    "rank_high": "worst rank in the interval",
    "tie_groups": "letters of the groups in which no two methods are distinguishable",
    "iqm": "interquartile mean of all values",
    "threshold": "value of the metric",
    "share": "profiles: share of trials above the threshold; variance: share of the identified variance",
    "component": "source of variance; factors: number of the factor whose strongest filters the row is about",
    "target_difference": "difference that the seeds are to show",
    "target_origin": "`declared` in the study (`detect`), or `observed`",
    "seeds": "pre-training seeds that show it with 80 % power; empty above 10,000",
    "seeds_low": "the same with the lower end of the interval of the standard deviation",
    "seeds_high": "the same with the upper end",
    # reproduction
    "id": "name of the published row",
    "system": "publication: A, B or C (docs/reproduction-notes.md)",
    "table_or_figure": "place in the publication",
    "pretrain_data": "data of pre-training, as published",
    "eval_data": "data of evaluation, as published",
    "model": "model, as published",
    "setting": "setting, as published",
    "notes": "the claim in words, or a remark on the number",
    "quantity": "what is computed from our cells; activations: name of the measure; out_of_domain: measured quality, "
    "or tag",
    "of": "levels of the cells it is computed from; figures: the method in question",
    "baseline_mean": "mean of the method that the change is relative to",
    "over": "levels of the cells or method it is compared with",
    "left_out": "levels of the claim for which the config has no cells",
    "our_metric": "metric of our value",
    "within": "setting in which it is computed, such as the data set",
    "expected": "what a claim or bound expects of our value; activating_tags: clips with the tag among as many of the "
    "whole test set",
    "margin": "distance that still counts as agreement, declared beforehand",
    "options": "options of the quantity, as JSON",
    "value_std": "standard deviation of the replicates behind a mean",
    "choices": "open choices that bear on the row (docs/reproduction-notes.md)",
    "ci90_low": "lower end of the 90 % interval, which decides agreement",
    "ci90_high": "upper end of the 90 % interval",
    "smallest_size": "smallest training size measured, in the unit of a crossover",
    "largest_size": "largest training size measured",
    # figures
    "panel": "title of the panel",
    "method": "method as the figure names it",
    "role": "part of the figure that the row draws, such as method, floor or published number",
    "tag": "tag or class",
    "positives": "test clips with the tag; tags: clips of the split with it",
    "clips": "labelled clips of the split",
    "split": "part of the data: train, valid or test",
    "matrix": "method, or difference of two, of the confusion matrix",
    "true": "true class; predictions: all of them, separated by semicolons",
    "predicted": "predicted class",
    "curve": "name of the curve",
    "probability": "probability of the augmentation",
    "parameters": "parameters of encoder and head",
    "case": "whether the clip is `with` or `without` the tag",
    "rule": "rule that selects the clip",
    "candidates": "clips among which the rule selects",
    "clip": "name of the clip",
    "start": "start of the window in the clip, seconds",
    "confidence": "probability of the tag in the window, percent",
    "colours": "meaning of the colours: class or song",
    "colour": "class or song of the point",
    "perplexity": "perplexity of t-SNE",
    "agreement": "share of points whose nearest neighbour has the same colour",
    "chance": "the same share by chance",
    "points": "points of the panel",
    "x": "horizontal position",
    "y": "vertical position",
    "layer": "convolution, counted from 1",
    "objective": "what gradient ascent climbs: `mean` of the responses at all positions, or `centre`, the middle one",
    "bin_hz": "distance of two frequencies of the spectrum, Hz",
    "line_hz": "sample rate over the stride of the first convolution, Hz; at its multiples objective mean has an "
    "artefact",
    "on_line": "percent of the layer's filters whose peak is within one bin of a multiple of `line_hz`",
    "line_chance": "percent of all frequencies that are within one bin of one",
    "linear_fit": "correlation of the filters' places with their peaks; near 1: the peaks rise in a straight line",
    "log_fit": "the same with the logarithms of the peaks",
    "place": "place of the filter in the order of the peaks; factors: in the factor, from 1",
    "filter": "number of the filter, from 0",
    "peak_hz": "strongest frequency of the filter, Hz",
    "spectrum": "power at 0 Hz, `bin_hz`, 2 `bin_hz`, ... over its maximum; 365 numbers separated by spaces",
    # filters
    "part": "what the row is about; activations: a point of a filter's curve (`filter`) or of the mean clip (`clip`), "
    "a `measure`, or its `difference` between data sets; factors: a `loading`, or a `class`; activating_tags: the "
    "`count` of a filter and a tag, or a `tag`; out_of_domain: `agreement`, a `filter`, or the `clips` of a listed one",
    "lower": "lower quartile: activations: over clips; activating_tags: over filters",
    "upper": "upper quartile of the same",
    "of_component": "number of the factor that the loading is on",
    "explained": "share of the variance of all filters that the factor explains, percent",
    "top": "clips of each filter that count, those that activate it most",
    "distinct": "test clips with the tag that are among those of any filter",
    "other_value": "mean of the quality in the second data set of `dataset`; `value` is that in the first",
    "null_low": "lower end of the range that chance leaves if filters are paired at random",
    "null_high": "upper end of the same",
    "outcome": "`crossing`, `always better`, `never better` or `undetermined`",
    "percent": "percentage of the labels that the fraction names",
    "size": "training size (`unit`) above which the treatment is better; 0: at every size, infinity: at none",
    "crosses": "share of resamples with a crossover",
    "always": "share of resamples in which the treatment is better at every size",
    "never": "share of resamples in which it is not better at the largest size",
    # pre-training
    "worker": "pretext task",
    "epoch": "epoch of pre-training; validation.csv: of the trial, from 1",
    "encoder_rate": "learning rate of the encoder at the beginning of the epoch",
    "loss": "loss without weight; losses: mean over runs; validation.csv: on the validation clips after the epoch",
    "kept": "share of the trial's classifiers whose weights are those after this epoch",
    "roc_auc": "ROC-AUC on the validation clips, from 0 to 1, where the protocol stops by scores",
    "pr_auc": "PR-AUC on the validation clips, from 0 to 1, where the protocol stops by scores",
    "weight": "weight of the loss",
    "runs": "pre-training seeds in the mean",
    "stem": "separated source",
    "songs": "test songs that contain the stem and another one",
    "si_sdr": "SI-SDR, dB",
    "si_sdr_gain": "gain over the mixture as an estimate, dB",
    "sdr": "SDR, dB",
    "sdr_gain": "gain over the mixture as an estimate, dB",
    # data
    "leak": "whether the overlap invalidates a test",
    "other_corpus": "corpus of the other clip",
    "other_clip": "name of the other clip",
    "other_split": "split of the other clip",
    "similarity": "similarity of the recordings; 1: equal fingerprints",
    "semitones": "how much higher the other clip is",
    "score: <class>": "mean score of the class over the trials, from 0 to 1; one column for each class",
    "name": "track or group that both clips have in common",
    # tables
    "sentence": "the comparison in words",
    "claim": "what the published row is about, in words",
    "meaning": "what our number is, in words",
    "verdict_text": "the verdict in words, with margin and reason",
    "evidence": "number of replicates, in words",
}


def columns_of_files() -> dict[str, Sequence[str]]:
    """Return the columns of each kind of result file, by its name in the page."""
    return {
        "trials": trials.COLUMNS,
        "cells": schema.CELL_COLUMNS,
        **schema.TABLES,
        "reproduction": reproduction.COLUMNS,
        "tables": ("unit", "half_width", "sentence", "claim", "meaning", "verdict_text", "evidence"),
        "separation": tuple(field.name for field in fields(PrintedSeparation)),
        "losses.csv of a run": tuple(LOSSES),
        "validation.csv of a cell": validation_curves.COLUMNS,
        "audits": tuple(field.name for field in fields(Overlap)),
        "quarantine": ("clip", "reason"),
        "predictions of the report": predictions.columns(),
    }


def columns_of_figures(names: Iterable[str] | None = None) -> dict[str, Sequence[str]]:
    """Return the columns of each kind of figure, or of those named."""
    names = registry.names("figure") if names is None else names
    return {name: registry.load("figure", name).COLUMNS for name in names}


def render_page() -> str:
    """Return the content of docs/result-columns.md."""
    rows = [f"| `{column}` | {files} | {meaning} |" for column, files, meaning in rows_of(columns_of_figures())]
    return "\n".join([INTRODUCTION, "| column | files | meaning |", "|---|---|---|", *rows]) + "\n"


def rows_of(figures: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, str]]:
    """Yield column, files and meaning of every column of files or of some kinds of figures."""
    files = columns_of_files()
    for column, meaning in MEANINGS.items():
        names = [name for name, columns in files.items() if column in columns]
        kinds = [kind for kind, columns in figures.items() if column in columns]
        if kinds:
            names.append("figures" if len(kinds) > MAX_KINDS else f"figures ({', '.join(kinds)})")
        if names:
            yield column, ", ".join(names), meaning


if __name__ == "__main__":
    write_text(PAGE, render_page())
