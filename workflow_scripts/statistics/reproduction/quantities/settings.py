"""Chosen quantities: settings, which equal the published ones by construction or not at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from workflow_scripts.core import result_files
from workflow_scripts.features.frames import HOP, N_FFT
from workflow_scripts.levels import registry
from workflow_scripts.networks.sizes import cpc
from workflow_scripts.statistics.reproduction.context import (
    CONFIGURATION,
    THOUSAND,
    Estimate,
    NoValue,
    Results,
    Selection,
    corpus_name,
    exact_estimate,
    number,
    read_from_cells,
    read_from_embeddings,
    read_from_runs,
    run_cells,
)
from workflow_scripts.statistics.reproduction.quantity import Quantity

MILLISECONDS = 1000  # in a second


def hop(_: Selection, __: Results) -> Estimate:
    """Return the samples between two frames of a feature."""
    return setting_estimate([HOP])


def fft_length(_: Selection, __: Results) -> Estimate:
    """Return the samples in the window of a feature."""
    return setting_estimate([N_FFT])


def prosody_features(_: Selection, __: Results) -> Estimate:
    """Return the number of features that the prosody worker predicts."""
    return setting_estimate([number(registry.load("worker", "prosody").CHANNELS)])


def sample_rate(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the sample rate in Hz of the clips that the encoders read."""
    encoders = dict.fromkeys(cell.factors["encoder"] for cell in selection.planned_cells)
    rates = results.manifest.sample_rates
    known = [number(rates[encoder]) for encoder in encoders if encoder in rates]
    return setting_estimate(known) if known else NoValue(reason="the plan states no sample rate")


def sample_rate_khz(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the sample rate in kHz of the clips that the encoders read."""
    rate = sample_rate(selection, results)
    if isinstance(rate, NoValue):
        return rate
    return setting_estimate([rate.ci.low / THOUSAND, rate.ci.high / THOUSAND])


def native_rate_khz(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the sample rate in kHz of the published files of the data set (or else the corpus) that `of` names."""
    name = corpus_name(selection)
    loader = results.loaders.get(name)
    if loader is None:
        return NoValue(reason=f"{name} not prepared")
    rate = registry.fact(registry.load("dataset", loader), "FILE_RATE")
    if rate is None:
        return NoValue(reason=f"nothing states the sample rate of {name}'s files")
    return setting_estimate([rate / THOUSAND])


def embedding_size(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the dimensions of the encoders' embedding."""
    return _settings(read_from_runs(selection, results, "config", "encoder", "options", "embedding"))


def pooled_size(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the size of the embedding of a clip, or of a crop, that a head reads."""
    return _settings(read_from_embeddings(selection, results, "size"))


def input_samples(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the samples in the crops on which the encoders are evaluated."""
    return _settings(read_from_embeddings(selection, results, "crop_length"))


def input_milliseconds(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the length in ms of the crops on which the encoders are evaluated, at the encoders' sample rate."""
    samples, rate = input_samples(selection, results), sample_rate(selection, results)
    if isinstance(samples, NoValue):
        return samples
    if isinstance(rate, NoValue):
        return rate
    if rate.ci.low != rate.ci.high:
        return NoValue(reason="encoders of several sample rates")
    return setting_estimate([MILLISECONDS * length / rate.value for length in (samples.ci.low, samples.ci.high)])


def cpc_layers(_: Selection, __: Results) -> Estimate:
    """Return the number of convolutions of the CPC encoder."""
    return setting_estimate([len(cpc.KERNELS)])


def cpc_filters(selection: Selection, results: Results) -> Estimate:
    """Return the filters of each convolution of the CPC encoder at the widths run; at full width without a record."""
    widths = read_from_runs(selection, results, "config", "encoder", "options", "width")
    filters = cpc.FILTERS
    return setting_estimate([filters] if isinstance(widths, NoValue) else [filters * width for width in widths])


def cpc_hop(_: Selection, __: Results) -> Estimate:
    """Return the samples between two frames of the CPC encoder."""
    return setting_estimate([cpc.HOP])


def cpc_hop_milliseconds(selection: Selection, results: Results) -> Estimate:
    """Return the time in ms between two frames of the CPC encoder, at its sample rate."""
    rate = cpc.SAMPLE_RATE
    return setting_estimate([MILLISECONDS * cpc_hop(selection, results).value / rate])


def prediction_steps(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the number of frames that predictive coding predicts ahead."""
    return _settings(read_from_runs(selection, results, "config", "workers", "predictive_coding", "steps"))


def prediction_milliseconds(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the prediction span of predictive coding in ms."""
    steps, hop_milliseconds = prediction_steps(selection, results), cpc_hop_milliseconds(selection, results).value
    if isinstance(steps, NoValue):
        return steps
    return setting_estimate([steps.ci.low * hop_milliseconds, steps.ci.high * hop_milliseconds])


def negatives(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the number of negative frames per prediction of predictive coding."""
    return _settings(read_from_runs(selection, results, "config", "workers", "predictive_coding", "negatives"))


def batch(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the clips in a pre-training step."""
    return _settings(read_from_runs(selection, results, "config", "recipe", "batch"))


def chunks_per_step(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the chunks in a step of contrastive pre-training: all views of each clip."""
    views = number(registry.load("worker", "contrastive").VIEWS)
    clips = read_from_runs(selection, results, "config", "recipe", "batch")
    return clips if isinstance(clips, NoValue) else setting_estimate([views * batch_size for batch_size in clips])


def adam_rate(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the learning rate of the encoder in pre-training with Adam."""
    return _settings(read_from_runs(selection, results, "config", "recipe", "encoder_learning_rate"))


def lars_factor(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the factor by which LARS multiplies the root of the batch size."""
    return _settings(read_from_runs(selection, results, "config", "recipe", "lars_learning_rate"))


def lars_rate(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the peak learning rate of pre-training with LARS: factor times root of the batch size."""
    factors = read_from_runs(selection, results, "config", "recipe", "lars_learning_rate")
    batches = read_from_runs(selection, results, "config", "recipe", "batch")
    for values in (factors, batches):
        if isinstance(values, NoValue):
            return values
    assert isinstance(factors, list)
    assert isinstance(batches, list)
    return setting_estimate([factor * math.sqrt(size) for factor, size in zip(factors, batches, strict=True)])


def epochs(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the epochs of pre-training."""
    return _settings(read_from_runs(selection, results, "config", "recipe", "epochs"))


def weighing_epochs(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the epochs of the equal-weighted run whose losses gave the weights."""
    return _settings(read_from_runs(selection, results, "epochs", file=result_files.LOSS_WEIGHTS_RECORD))


def trials(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the trials of each cell."""
    cells = run_cells(selection, results)
    return setting_estimate([len(cell.values) for cell in cells]) if cells else NoValue(reason="not run")


def learning_rate(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the learning rate of the head (and of the encoder, if it is trained) in the trials."""
    return _settings(read_from_cells(selection, results, "config", "training", "learning_rate"))


def patience(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the epochs without a better validation loss after which a trial stops."""
    return _settings(read_from_cells(selection, results, "config", "training", "patience"))


def setting_estimate(values: Sequence[float]) -> Estimate:
    """Return a setting, with the smallest and the largest value as its interval."""
    return replace(exact_estimate(values, replicate="", sources=(CONFIGURATION,)), n=0)


def _settings(values: list[float] | NoValue) -> Estimate | NoValue:
    return values if isinstance(values, NoValue) else setting_estimate(values)


QUANTITIES = {
    "hop": Quantity(kind="chosen", compute=hop, phrase="hop of every feature"),
    "fft_length": Quantity(kind="chosen", compute=fft_length, phrase="window of every feature"),
    "prosody_features": Quantity(kind="chosen", compute=prosody_features, phrase="outputs of the prosody worker"),
    "sample_rate": Quantity(kind="chosen", compute=sample_rate, phrase="sample rate of the encoders"),
    "embedding_size": Quantity(kind="chosen", compute=embedding_size, phrase="embedding of the encoders"),
    "pooled_size": Quantity(kind="chosen", compute=pooled_size, phrase="size of the embedding that a head reads"),
    "input_samples": Quantity(kind="chosen", compute=input_samples, phrase="samples in a crop"),
    "input_milliseconds": Quantity(kind="chosen", compute=input_milliseconds, phrase="length of a crop, ms"),
    "cpc_layers": Quantity(kind="chosen", compute=cpc_layers, phrase="layers of the CPC encoder"),
    "cpc_filters": Quantity(kind="chosen", compute=cpc_filters, phrase="filters of each layer of the CPC encoder"),
    "cpc_hop": Quantity(kind="chosen", compute=cpc_hop, phrase="samples between two frames of the CPC encoder"),
    "cpc_hop_milliseconds": Quantity(
        kind="chosen", compute=cpc_hop_milliseconds, phrase="time between two frames of the CPC encoder, ms"
    ),
    "prediction_steps": Quantity(
        kind="chosen", compute=prediction_steps, phrase="frames that predictive coding predicts ahead"
    ),
    "prediction_milliseconds": Quantity(
        kind="chosen", compute=prediction_milliseconds, phrase="prediction span of predictive coding, ms"
    ),
    "negatives": Quantity(kind="chosen", compute=negatives, phrase="negatives of predictive coding"),
    "batch": Quantity(kind="chosen", compute=batch, phrase="clips in a pre-training step"),
    "chunks_per_step": Quantity(kind="chosen", compute=chunks_per_step, phrase="chunks in a pre-training step"),
    "adam_rate": Quantity(kind="chosen", compute=adam_rate, phrase="learning rate of pre-training with Adam"),
    "lars_factor": Quantity(
        kind="chosen", compute=lars_factor, phrase="factor of the LARS learning rate, times the root of the batch"
    ),
    "lars_rate": Quantity(kind="chosen", compute=lars_rate, phrase="peak learning rate of pre-training with LARS"),
    "epochs": Quantity(kind="chosen", compute=epochs, phrase="epochs"),
    "weighing_epochs": Quantity(kind="chosen", compute=weighing_epochs, phrase="weighing epochs"),
    "trials": Quantity(kind="chosen", compute=trials, phrase="trials"),
    "learning_rate": Quantity(kind="chosen", compute=learning_rate, phrase="learning rate"),
    "patience": Quantity(kind="chosen", compute=patience, phrase="patience"),
    "sample_rate_khz": Quantity(kind="chosen", compute=sample_rate_khz, phrase="sample rate khz"),
    "native_rate_khz": Quantity(kind="chosen", compute=native_rate_khz, phrase="native rate khz", of_corpus=True),
}
