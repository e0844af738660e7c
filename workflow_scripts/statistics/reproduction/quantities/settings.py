"""Chosen quantities: settings, which equal the published ones by construction or not at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
CPC_HOP_MILLISECONDS = MILLISECONDS * cpc.HOP / cpc.SAMPLE_RATE


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


def cpc_filters(selection: Selection, results: Results) -> Estimate:
    """Return the filters of each convolution of the CPC encoder at the widths run; at full width without a record."""
    widths = read_from_runs(selection, results, "config", "encoder", "options", "width")
    filters = cpc.FILTERS
    return setting_estimate([filters] if isinstance(widths, NoValue) else [filters * width for width in widths])


def prediction_steps(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the number of frames that predictive coding predicts ahead."""
    return _settings(read_from_runs(selection, results, "config", "workers", "predictive_coding", "steps"))


def prediction_milliseconds(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the prediction span of predictive coding in ms."""
    steps = prediction_steps(selection, results)
    if isinstance(steps, NoValue):
        return steps
    return setting_estimate([CPC_HOP_MILLISECONDS * end for end in (steps.ci.low, steps.ci.high)])


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
    """Return the epochs of the equally weighted run whose losses gave the weights."""
    return _settings(read_from_runs(selection, results, "epochs", file=result_files.LOSS_WEIGHTS_RECORD))


def trials(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the trials of each cell."""
    cells = run_cells(selection, results)
    return setting_estimate([len(cell.values) for cell in cells]) if cells else NoValue(reason="not run")


def learning_rate(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the learning rate of the head (and of the encoder, if it is trained) in the trials."""
    return _settings(read_from_cells(selection, results, "config", "training", "learning_rate"))


def patience(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the epochs without improvement on the validation clips after which a trial stops."""
    return _settings(read_from_cells(selection, results, "config", "training", "patience"))


def setting_estimate(values: Sequence[float]) -> Estimate:
    """Return a setting, with the smallest and the largest value as its interval."""
    return replace(exact_estimate(values, replicate="", sources=(CONFIGURATION,)), n=0)


def define_setting(compute: Callable[[Selection, Results], Estimate | NoValue], phrase: str) -> Quantity:
    """Define the quantity of a setting."""
    return Quantity(kind="chosen", compute=compute, phrase=phrase)


def define_constant(values: float | Sequence[float], phrase: str) -> Quantity:
    """Define the quantity of a setting that no config changes."""
    constant = setting_estimate([values] if isinstance(values, int | float) else values)
    return define_setting(lambda _, __: constant, phrase)


def _settings(values: list[float] | NoValue) -> Estimate | NoValue:
    return values if isinstance(values, NoValue) else setting_estimate(values)


QUANTITIES = {
    "hop": define_constant(HOP, "samples between two frames of a feature"),
    "fft_length": define_constant(N_FFT, "samples in the window of a feature"),
    "prosody_features": define_setting(prosody_features, "features that the prosody worker predicts"),
    "sample_rate": define_setting(sample_rate, "sample rate of the clips that the encoders read, Hz"),
    "embedding_size": define_setting(embedding_size, "dimensions of the encoders' embedding"),
    "pooled_size": define_setting(pooled_size, "size of the embedding of a clip, or of a crop, that a head reads"),
    "input_samples": define_setting(input_samples, "samples in the crops on which the encoders are evaluated"),
    "input_milliseconds": define_setting(
        input_milliseconds, "length of the crops on which the encoders are evaluated, ms"
    ),
    "cpc_layers": define_constant(len(cpc.KERNELS), "convolutions of the CPC encoder"),
    "cpc_filters": define_setting(cpc_filters, "filters of each convolution of the CPC encoder"),
    "cpc_hop": define_constant(cpc.HOP, "samples between two frames of the CPC encoder"),
    "cpc_hop_milliseconds": define_constant(CPC_HOP_MILLISECONDS, "time between two frames of the CPC encoder, ms"),
    "prediction_steps": define_setting(prediction_steps, "frames that predictive coding predicts ahead"),
    "prediction_milliseconds": define_setting(prediction_milliseconds, "prediction span of predictive coding, ms"),
    "negatives": define_setting(negatives, "negative frames per prediction of predictive coding"),
    "batch": define_setting(batch, "clips in a pre-training step"),
    "chunks_per_step": define_setting(
        chunks_per_step, "chunks in a step of contrastive pre-training, all views of each clip"
    ),
    "adam_rate": define_setting(adam_rate, "learning rate of the encoder in pre-training with Adam"),
    "lars_factor": define_setting(lars_factor, "factor by which LARS multiplies the root of the batch size"),
    "lars_rate": define_setting(lars_rate, "peak learning rate of pre-training with LARS"),
    "epochs": define_setting(epochs, "epochs of pre-training"),
    "weighing_epochs": define_setting(
        weighing_epochs, "epochs of the equally weighted run whose losses gave the weights"
    ),
    "trials": define_setting(trials, "trials of each cell"),
    "learning_rate": define_setting(
        learning_rate, "learning rate of the head, and of the encoder if it is trained, in the trials"
    ),
    "patience": define_setting(
        patience, "epochs without improvement on the validation clips after which a trial stops"
    ),
    "sample_rate_khz": define_setting(sample_rate_khz, "sample rate of the clips that the encoders read, kHz"),
    "native_rate_khz": Quantity(
        kind="chosen",
        compute=native_rate_khz,
        phrase="sample rate of the published files of {data}, kHz",
        of_corpus=True,
    ),
}
