"""Quantities that are chosen: settings, equal to the published ones by construction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from workflow_scripts.features.frames import HOP, N_FFT
from workflow_scripts.levels import registry
from workflow_scripts.networks.sizes import cpc
from workflow_scripts.statistics.reproduction.context import (
    CONFIGURATION,
    THOUSAND,
    Estimate,
    Missing,
    Results,
    Selection,
    exact,
    number,
    recorded_by_cells,
    recorded_by_embeddings,
    recorded_by_runs,
    run_cells,
)

MILLISECONDS = 1000  # in a second


def hop(_: Selection, __: Results) -> Estimate:
    """Samples between two frames of a feature."""
    return chosen([HOP])


def fft_length(_: Selection, __: Results) -> Estimate:
    """Samples in the window of a feature."""
    return chosen([N_FFT])


def prosody_features(_: Selection, __: Results) -> Estimate:
    """Features that the prosody worker regresses."""
    return chosen([number(registry.load("worker", "prosody").CHANNELS)])


def sample_rate(selection: Selection, results: Results) -> Estimate | Missing:
    """Sample rate in Hz of the clips that the encoders read."""
    encoders = dict.fromkeys(each.factors["encoder"] for each in selection.chosen)
    rates = results.plan.sample_rates
    known = [number(rates[encoder]) for encoder in encoders if encoder in rates]
    return chosen(known) if known else Missing(reason="the plan states no sample rate")


def sample_rate_khz(selection: Selection, results: Results) -> Estimate | Missing:
    """The same in kHz."""
    rate = sample_rate(selection, results)
    if isinstance(rate, Missing):
        return rate
    return chosen([rate.low / THOUSAND, rate.high / THOUSAND])


def native_rate_khz(selection: Selection, results: Results) -> Estimate | Missing:
    """Sample rate in kHz of the published files of the data set (or else the corpus) that `of` names."""
    stated = selection.statement.of[0]
    name = stated.get("dataset") or stated["corpus"]
    loader = results.loaders.get(name)
    if loader is None:
        return Missing(reason=f"{name} not prepared")
    rate = getattr(registry.load("dataset", loader), "FILE_RATE", None)
    if rate is None:
        return Missing(reason=f"nothing states the sample rate of {name}'s files")
    return chosen([rate / THOUSAND])


def embedding_size(selection: Selection, results: Results) -> Estimate | Missing:
    """Dimensions of the encoders' embedding."""
    return _settings(recorded_by_runs(selection, results, "config", "encoder", "options", "embedding"))


def pooled_size(selection: Selection, results: Results) -> Estimate | Missing:
    """Numbers that the encoders give a head for a clip, or for a crop of it."""
    return _settings(recorded_by_embeddings(selection, results, "size"))


def input_samples(selection: Selection, results: Results) -> Estimate | Missing:
    """Samples in the crops by which the encoders are evaluated."""
    return _settings(recorded_by_embeddings(selection, results, "crop_length"))


def input_milliseconds(selection: Selection, results: Results) -> Estimate | Missing:
    """Length of those crops, in ms at the encoders' sample rate."""
    samples, rate = input_samples(selection, results), sample_rate(selection, results)
    if isinstance(samples, Missing):
        return samples
    if isinstance(rate, Missing):
        return rate
    if rate.low != rate.high:
        return Missing(reason="encoders of several sample rates")
    return chosen([MILLISECONDS * length / rate.value for length in (samples.low, samples.high)])


def cpc_layers(_: Selection, __: Results) -> Estimate:
    """Convolutions of the CPC encoder."""
    return chosen([len(cpc.KERNELS)])


def cpc_filters(selection: Selection, results: Results) -> Estimate:
    """Filters of each of them, in the widths that were run; in the whole one where no record states another."""
    widths = recorded_by_runs(selection, results, "config", "encoder", "options", "width")
    filters = cpc.FILTERS
    return chosen([filters] if isinstance(widths, Missing) else [filters * width for width in widths])


def cpc_hop(_: Selection, __: Results) -> Estimate:
    """Samples between two frames of the CPC encoder."""
    return chosen([cpc.HOP])


def cpc_hop_milliseconds(selection: Selection, results: Results) -> Estimate:
    """The same in ms at its sample rate."""
    rate = cpc.SAMPLE_RATE
    return chosen([MILLISECONDS * cpc_hop(selection, results).value / rate])


def prediction_steps(selection: Selection, results: Results) -> Estimate | Missing:
    """Frames that predictive coding looks ahead."""
    return _settings(recorded_by_runs(selection, results, "config", "workers", "predictive_coding", "steps"))


def prediction_milliseconds(selection: Selection, results: Results) -> Estimate | Missing:
    """How far that is, in ms."""
    steps, hop_milliseconds = prediction_steps(selection, results), cpc_hop_milliseconds(selection, results).value
    if isinstance(steps, Missing):
        return steps
    return chosen([steps.low * hop_milliseconds, steps.high * hop_milliseconds])


def negatives(selection: Selection, results: Results) -> Estimate | Missing:
    """Random frames that predictive coding tells each right one from."""
    return _settings(recorded_by_runs(selection, results, "config", "workers", "predictive_coding", "negatives"))


def batch(selection: Selection, results: Results) -> Estimate | Missing:
    """Clips in a step of pre-training."""
    return _settings(recorded_by_runs(selection, results, "config", "recipe", "batch"))


def pieces(selection: Selection, results: Results) -> Estimate | Missing:
    """Pieces of clips in a step of contrastive pre-training: its views of each."""
    views = number(registry.load("worker", "contrastive").VIEWS)
    clips = recorded_by_runs(selection, results, "config", "recipe", "batch")
    return clips if isinstance(clips, Missing) else chosen([views * each for each in clips])


def adam_rate(selection: Selection, results: Results) -> Estimate | Missing:
    """Learning rate of the encoder in pre-training with Adam."""
    return _settings(recorded_by_runs(selection, results, "config", "recipe", "encoder_learning_rate"))


def lars_factor(selection: Selection, results: Results) -> Estimate | Missing:
    """What LARS multiplies the root of the batch by."""
    return _settings(recorded_by_runs(selection, results, "config", "recipe", "lars_learning_rate"))


def lars_rate(selection: Selection, results: Results) -> Estimate | Missing:
    """Full learning rate of pre-training with LARS."""
    factors = recorded_by_runs(selection, results, "config", "recipe", "lars_learning_rate")
    batches = recorded_by_runs(selection, results, "config", "recipe", "batch")
    for found in (factors, batches):
        if isinstance(found, Missing):
            return found
    assert isinstance(factors, list)
    assert isinstance(batches, list)
    return chosen([factor * math.sqrt(size) for factor, size in zip(factors, batches, strict=True)])


def epochs(selection: Selection, results: Results) -> Estimate | Missing:
    """Epochs of pre-training."""
    return _settings(recorded_by_runs(selection, results, "config", "recipe", "epochs"))


def weighing_epochs(selection: Selection, results: Results) -> Estimate | Missing:
    """Epochs of the equal-weighted run whose losses made the weights."""
    return _settings(recorded_by_runs(selection, results, "epochs", file="weigh.json"))


def trials(selection: Selection, results: Results) -> Estimate | Missing:
    """Trials of each cell."""
    cells = run_cells(selection, results)
    return chosen([len(cell.values) for cell in cells]) if cells else Missing(reason="not run")


def learning_rate(selection: Selection, results: Results) -> Estimate | Missing:
    """Learning rate of the head (and of the encoder, where it learns) in the trials."""
    return _settings(recorded_by_cells(selection, results, "config", "training", "learning_rate"))


def patience(selection: Selection, results: Results) -> Estimate | Missing:
    """Epochs without a better validation loss after which a trial stops."""
    return _settings(recorded_by_cells(selection, results, "config", "training", "patience"))


def chosen(values: Sequence[float]) -> Estimate:
    """A setting, with the smallest and the largest as its interval."""
    return replace(exact(values, replicate="", sources=(CONFIGURATION,)), n=0)


def _settings(values: list[float] | Missing) -> Estimate | Missing:
    return values if isinstance(values, Missing) else chosen(values)
