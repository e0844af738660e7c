"""Names and numbers as a reader sees them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: replicates and sources of variance, as the tables name them, in texts
WRITTEN = {"pretraining seeds": "pre-training seeds", "test set": "test clips"}
#: how the field writes these names; a level that is not listed is shown as it is called in the config
NAMES = {
    "pase": "PASE",
    "pase_plus": "PASE+",
    "random": "random weights",
    "random_plus": "random weights (PASE+)",
    "handcrafted": "handcrafted features",
    "frozen": "frozen",
    "fine_tuned": "fine-tuned",
    "mfcc": "MFCC",
    "lps": "LPS",
    "reweighted": "re-weighted",
    "audioset_music": "AudioSet Music",
    "openmic": "OpenMIC",
    "extended_ballroom": "Extended Ballroom",
    "fma_small": "FMA small",
    "fma_medium": "FMA medium",
    "samplecnn": "SampleCNN",
    "samplecnn_16000": "SampleCNN (16,000 Hz)",
    "samplecnn_12000": "SampleCNN (12,000 Hz)",
    "samplecnn_8000": "SampleCNN (8,000 Hz)",
    "cpc": "CPC",
    "random_samplecnn": "random weights (SampleCNN)",
    "random_samplecnn_16000": "random weights (SampleCNN, 16,000 Hz)",
    "random_samplecnn_12000": "random weights (SampleCNN, 12,000 Hz)",
    "random_samplecnn_8000": "random weights (SampleCNN, 8,000 Hz)",
    "random_cpc": "random weights (CPC)",
    "unet": "U-Net",
    "unet_multiple": "U-Net (four sources)",
    "random_unet": "random weights (U-Net)",
    "random_unet_multiple": "random weights (U-Net, four sources)",
    "magnitude": "spectrogram alone",
    "musdb18": "MUSDB18",
    "magnatagatune_filtered": "MagnaTagATune (filtered)",
    "short_chunk_cnn": "Short-Chunk CNN",
    "msspt_icassp": "Short-Chunk CNN (first version)",
    "ast": "AST",
    "three_stage": "three stages",
    "mlp": "MLP",
    "contrastive_tau01": "contrastive (temperature 0.1)",
    "contrastive_tau03": "contrastive (temperature 0.3)",
    "crop": "crops alone",
    "clmr_thesis": "CLMR (thesis)",
    "clmr_repository": "CLMR (repository)",
    "magnatagatune": "MagnaTagATune",
    "msd": "Million Song Dataset",
    "gtzan": "GTZAN",
    "gtzan_unlabelled": "GTZAN (unlabelled)",
    "billboard": "McGill Billboard",
    "pretrain_seed": "pre-training seed",
}
MINUS, RANGE = "\N{MINUS SIGN}", "\N{EN DASH}"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """How a metric is printed: its name, the factor from stored to printed values, and the units."""

    name: str
    scale: float
    unit: str
    difference_unit: str
    decimals: int

    @property
    def heading(self) -> str:
        """Name with unit, such as "macro F1 (%)"."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


RATES = {
    "macro_f1": "macro F1",
    "macro_f1_positive": "macro F1 of the positive label",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "roc_auc_clip": "ROC-AUC per clip",
    "pr_auc_clip": "PR-AUC per clip",
}


def measure(metric: str) -> Measure:
    """How `metric` is printed: rates from 0 to 1 in percent, anything else as stored."""
    if metric in RATES:
        # one decimal: a test set of 1,000 clips cannot tell more apart
        return Measure(name=RATES[metric], scale=100, unit="%", difference_unit="points", decimals=1)
    return Measure(name=metric.replace("_", " "), scale=1, unit="", difference_unit="", decimals=3)


def name(level: str) -> str:
    """A level or factor as the field writes it."""
    return NAMES.get(level, level.replace("_", " "))


def selection(levels: Mapping[str, str], *, apart_from: Mapping[str, str] | None = None) -> str:
    """Words for the cells that `levels` select, such as "frozen PASE"; what `apart_from` has too is not said."""
    said = {factor: level for factor, level in levels.items() if (apart_from or {}).get(factor) != level} or dict(
        levels
    )
    first = [name(said.pop(factor)) for factor in ("scenario", "encoder") if factor in said]
    return " ".join([*first, *(f"{name(factor)} {name(level)}" for factor, level in said.items())])


def sides(better: Mapping[str, str], than: Mapping[str, str]) -> tuple[str, str]:
    """Words for both sides of a comparison; what they have in common is said once."""
    return selection(better), selection(than, apart_from=better)


def beats(verdict: str, better: str, than: str) -> str:
    """A verdict in which there is a difference, as a sentence without its size."""
    return f"{better} beats {than}" if verdict == "better" else f"{better} is worse than {than}"


def directed(mean: float, low: float, high: float, measure: Measure) -> str:
    """By how much one is better, or worse, than the other, with the interval, from stored values."""
    low, high = (low, high) if mean >= 0 else (-high, -low)
    return f"by {amount(abs(mean), measure)} {interval(low, high, measure)}"


def amount(value: float, measure: Measure) -> str:
    """A stored difference as printed, with its unit."""
    unit = f" {measure.difference_unit}" if measure.difference_unit else ""
    return f"{number(value * measure.scale, measure.decimals)}{unit}"


def interval(low: float, high: float, measure: Measure) -> str:
    """A stored interval as printed; empty where there is none.

    An end gets more decimals where it would look like zero: on which side of zero it lies is what a reader looks for.
    """
    if not math.isfinite(low):
        return ""
    ends = (_beside_zero(end * measure.scale, measure.decimals) for end in (low, high))
    return f"[{', '.join(ends)}]"


def _beside_zero(value: float, decimals: int) -> str:
    texts = [number(value, more) for more in range(decimals, decimals + 4)]
    return next((text for text in texts if text.strip(f"{MINUS}0.")), texts[0])


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, such as "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1] if names else ""]))


def capital(text: str) -> str:
    """Text with its first letter as a capital, the others as they are."""
    return text[:1].upper() + text[1:]


def number(value: float, decimals: int) -> str:
    """A rounded number with a true minus sign and no negative zero."""
    text = f"{abs(value):.{decimals}f}"
    return f"{MINUS}{text}" if value < 0 and float(text) != 0 else text


def signed(value: float, decimals: int) -> str:
    """A rounded number with its sign, "+" too; none where it rounds to zero."""
    text = number(value, decimals)
    return f"+{text}" if value > 0 and float(text) != 0 else text


def half_width(value: float, decimals: int) -> str:
    """Half the width of an interval; one too narrow to print does not become zero."""
    smallest = 10.0**-decimals
    return f"<{smallest:.{decimals}f}" if 0 < value < smallest / 2 else number(value, decimals)


def p_value(p: float) -> str:
    """A p value with three decimals; empty where there is none."""
    if not math.isfinite(p):
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def counted(n: int, what: str) -> str:
    """Count with a noun given in the plural, such as "1 trial" or "10 trials"."""
    return f"{n:,} {what[:-1] if n == 1 else what}"


def written(source: str) -> str:
    """A replicate or source of variance as texts write it, in the plural: "pre-training seeds", "test clips"."""
    return WRITTEN.get(source, source)


def duration(seconds: float) -> str:
    """Seconds as a reader says them, such as "4.2 s", "3 min 05 s" or "2 h 10 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02d} min"


def size(number_of_bytes: float) -> str:
    """Bytes as GB or MB (powers of ten)."""
    return f"{number_of_bytes / 1e9:.1f} GB" if number_of_bytes >= 1e9 else f"{number_of_bytes / 1e6:.0f} MB"
