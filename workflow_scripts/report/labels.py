"""Labels of levels, factors and columns in tables and figures.

A level's label comes from the manifest: a command calls `use_labels_of` once, after it has read the manifest. This
module itself knows only factors and generic words.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from workflow_scripts.levels.fractions import FRACTION
from workflow_scripts.planning.manifest import Manifest

LEVELS_AT_END = re.compile(r"\(([^()]*)\)$")
TWIN = "twin"  # data source of synthetic stand-ins
NOTHING = "none"  # level of a factor that a run does not have; in tables also a missing source or count
#: factors whose label is not their name with spaces
FACTOR_LABELS = {"pretrain_seed": "pre-training seed", "dataset": "data set", "fraction": "label fraction"}
#: replicates and variance sources (names in the result tables) in running text
VARIANCE_SOURCES = {
    "pretraining seeds": "pre-training seeds",
    "test set": "test clips",
    "clusters": "clusters of test clips",
}

#: labels of the levels in the manifest of this process: one process renders the results of one manifest
_level_labels: dict[str, str] = {}


def use_labels_of(manifest: Manifest) -> None:
    """Take the labels of levels from `manifest`, in place of those of an earlier one."""
    _level_labels.clear()
    for labels in manifest.labels.values():
        _level_labels.update(labels)


@contextlib.contextmanager
def in_form(form: Callable[[str], str]) -> Iterator[None]:
    """Return all labels in another form within the context, such as with escapes for a format."""
    plain = dict(_level_labels)
    _level_labels.update({level: form(label) for level, label in plain.items()})
    try:
        yield
    finally:
        _level_labels.update(plain)


def name(level: str) -> str:
    """Return the label of a level or factor; one without a label is shown under its config name."""
    return _level_labels.get(level) or FACTOR_LABELS.get(level) or _percentage(level) or level.replace("_", " ")


def _percentage(level: str) -> str:
    """Return a fraction of the labels as "10 %", or "10 % (segments)" where a rule chooses them; else nothing."""
    match = FRACTION.fullmatch(level)
    return f"{match[1]} %{f' ({match[2][1:]})' if match[2] else ''}".replace("_", " ") if match else ""


def selection(levels: Mapping[str, str], *, apart_from: Mapping[str, str] | None = None) -> str:
    """Return a phrase for the cells with these levels, such as "frozen PASE", without levels shared with `apart_from`.

    If all levels are shared, the phrase names all of them. A scenario stands with its encoder.
    """
    own = {factor: level for factor, level in levels.items() if (apart_from or {}).get(factor) != level}
    own = own or dict(levels)
    if "scenario" in own and "encoder" in levels:
        own["encoder"] = levels["encoder"]  # "supervised" alone would be no method
    method = [name(own.pop(factor)) for factor in ("scenario", "encoder") if factor in own]
    if "encoder" not in levels and "corpus" in own:  # as of a checkpoint, which is a level of the corpus
        method.append(f"encoder of {name(own.pop('corpus'))}")
    return " ".join([*method, *(f"{name(factor)} {name(level)}" for factor, level in own.items())])


def join(names: Sequence[str]) -> str:
    """Join names to an enumeration, such as "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1] if names else ""]))


def reason(text: str) -> str:
    """Return a reason with the labels of the levels that it ends with in brackets, such as "not run (FMA small)"."""
    return LEVELS_AT_END.sub(lambda levels: f"({', '.join(map(name, levels[1].split(', ')))})", text)


def capital(text: str) -> str:
    """Return text with its first letter as a capital, the others unchanged."""
    return text[:1].upper() + text[1:]


def variance_source(source: str) -> str:
    """Return the plural noun for a replicate or variance source: "pre-training seeds", "test clips", "trials"."""
    return VARIANCE_SOURCES.get(source, source)


def mark_of_twins(sources: str) -> str:
    """Return what follows the name of data that are in part synthetic; empty for real data, the usual case."""
    names = sources.replace(",", " ").split()
    return f" ({', '.join(names)})" if TWIN in names else ""
