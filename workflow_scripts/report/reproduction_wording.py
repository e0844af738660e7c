"""Words for one line of the reproduction table: claim, published value, our value, its meaning, verdict, evidence."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from workflow_scripts.report import labels, number_format
from workflow_scripts.statistics.reproduction.context import MILLION, THOUSAND, TWIN
from workflow_scripts.statistics.reproduction.quantities.registry import QUANTITIES
from workflow_scripts.statistics.reproduction.verdicts import NOT_COMPARABLE, NOT_OURS, NOT_RUN

FIRST_LETTERS = {"fig": "Fig.", "sec": "Sec.", "eq": "Eq.", "table": "Table"}
IN_WORDS = re.compile(r"^ordinal claim(?: \((.*)\))?$")  # the metric of a claim without a number
UNIT = re.compile(r"^(\w+) \((thousand|million)s\)$")  # the metric of a number printed in multiples
MULTIPLES = {"thousand": THOUSAND, "million": MILLION}
METHOD = ("encoder", "scenario")  # named on both sides even if both have the same
ALL_THREE = "all three"  # of the data sets, or of the scenarios
DIGITS = {"counted": 3, "chosen": 5}  # a count is compared with a rounded one; a setting is shown exactly
MIN_DECIMALS = 1
BOUNDS = {"not above": "at most", "not below": "at least"}  # numbers that limit ours
BEYOND = "beyond what was measured"

Record = dict[Any, Any]  # a row of reproduction.csv


def place_in_paper(text: str) -> str:
    """Return table, figure or section as papers print it, such as "Fig. 5 / Sec. 4.3"."""
    return labels.capital(re.sub(r"\b(fig|sec|eq|table)\b", lambda match: FIRST_LETTERS[match[0]], text))


def claim(record: Record) -> str:
    """Return what the row is about: model, setting, data, scenario and metric."""
    about = [record["model"], record["setting"]]
    if record["pretrain_data"] not in ("", "none"):
        about.append(f"pre-trained on {record['pretrain_data']}")
    if record["eval_data"]:
        about.append(f"on {record['eval_data']}{' data sets' if record['eval_data'] == ALL_THREE else ''}")
    about.append(f"{record['scenario']}{' scenarios' if record['scenario'] == ALL_THREE else ''}")
    metric = UNIT.sub("", IN_WORDS.sub(r"\1", record["metric"]))  # a unit is printed with the number
    return ": ".join(filter(None, [", ".join(filter(None, about)), metric]))


def format_published(record: Record) -> str:
    """Return the published number with its standard deviation or its unit, or the claim in words."""
    if not record["mean"]:
        return str(record["notes"])
    unit = UNIT.match(record["metric"])
    mean = _with_separators(record["mean"])
    number = f"{mean} ± {record['std']}" if record["std"] else mean
    number = f"{BOUNDS[record['expected']]} {number}" if record["expected"] in BOUNDS else number
    return f"{number} {unit[2]} {unit[1]}" if unit else number


def format_value(record: Record) -> str:
    """Return our value with its interval, in the unit and with the digits of the published number."""
    value, low, high = record["value"], record["ci_low"], record["ci_high"]
    if record["quantity"] == "crossing":
        return _crossover(record)
    if record["kind"] != "measured":
        ends = [_amount(end, DIGITS[record["kind"]], record["metric"]) for end in (low, high)]
        return number_format.RANGE.join(dict.fromkeys(ends))
    if math.isnan(value):
        return "undefined"
    decimals = max(MIN_DECIMALS, len(record["mean"].partition(".")[2]))
    estimate, *ends = (_number(number, decimals, record) for number in (value, low, high))
    text = f"{estimate} (no interval)" if math.isnan(low) else f"{estimate} [{', '.join(ends)}]"
    compared = record["std"] and math.isfinite(record["value_std"])
    return f"{text}, {number_format.deviation(record['value_std'], decimals)}" if compared else text


def describe_quantity(record: Record) -> str:
    """Return what our number is; levels that both sides have in common are named once, in front."""
    of, over, setting = _sides(record)
    phrase = QUANTITIES[record["quantity"]].phrase.format(
        data=setting.get("dataset") or of.get("dataset") or of.get("corpus", ""),
        metric=number_format.measure(record["our_metric"]).name,
        of=labels.selection(of) if of else "all cells",
        over=labels.selection(over) if over else "",
        **_options(record),
    )
    where = [setting.pop("dataset")] if "dataset" in setting else []
    where += [labels.selection({factor: level}) for factor, level in setting.items()]
    sentence = f"{', '.join(where)}: {phrase}" if where else phrase
    left_out = labels.selection(_levels(record["left_out"])) if record["left_out"] else ""
    return f"{sentence}; without {left_out}, for which this config lacks cells" if left_out else sentence


def verdict(record: Record) -> str:
    """Return the verdict with its margin and what limits it."""
    outcome, reason, twin = record["verdict"], record["reason"], TWIN in record["source"].split()
    if outcome == NOT_RUN:
        return f"{NOT_RUN}: {reason}" if record["study"] and reason != NOT_RUN else NOT_RUN
    if outcome == NOT_COMPARABLE and record["kind"] == "counted" and twin:
        # A count of a twin agrees by the twin's layout or not at all: both numbers, no verdict.
        return f"twin: {format_value(record)}, published: {format_published(record)}"
    if outcome in (NOT_OURS, NOT_COMPARABLE):
        return f"{outcome}: {reason}"
    if record["kind"] == "chosen":
        return f"{outcome}, by construction"
    if record["expected"] and twin:
        outcome += ", on twin data"
    details = "; ".join(filter(None, [_margin(record), reason, "in part" if record["left_out"] else ""]))
    return f"{outcome} ({details})" if details else outcome


def evidence(record: Record) -> str:
    """Return the number of replicates behind our value."""
    if record["kind"] == "chosen":
        return ""
    if record["kind"] == "counted":
        return "counted"
    replicates = number_format.count(int(record["n"]), labels.variance_source(record["replicate"]))
    one_seed = record["replicate"] == "trials" and record["n_pretraining_seeds"] > 0
    return f"{replicates} of one pre-training seed" if one_seed else replicates


def _margin(record: Record) -> str:
    if math.isnan(record["margin"]):
        return ""
    unit = UNIT.match(record["metric"])
    return f"margin {'' if record['expected'] else '±'}{record['margin']:g}{f' {unit[2]}' if unit else ''}"


def _with_separators(printed: str) -> str:
    """Return a printed number, whole ones from a thousand on with separators as ours have."""
    return f"{int(printed):,}" if printed.isdecimal() else printed


def _number(value: float, decimals: int, record: Record) -> str:
    if math.isinf(value) and record["quantity"] == "label_saving":
        return f"at least {number_format.number(record['largest_size'] / record['smallest_size'], decimals)}"
    return BEYOND if math.isinf(value) else number_format.number(value, decimals)


def _amount(value: float, digits: int, metric: str) -> str:
    """Return a count or setting with its unit; one below the published multiple (thousand, million) in ones."""
    unit = UNIT.match(metric)
    if unit and value < 1:
        return f"{value * MULTIPLES[unit[2]]:,.0f} {unit[1]}"
    text = f"{value:,.0f}" if value >= THOUSAND and value == round(value) else f"{value:.{digits}g}"
    return " ".join([text, *(unit.group(2, 1) if unit else ())])


def _crossover(record: Record) -> str:
    """Return a training size in samples with its interval; in words if it is outside the sizes measured."""
    value, low, high = (THOUSAND * record[name] for name in ("value", "ci_low", "ci_high"))
    smallest, largest = (f"{THOUSAND * record[name]:,.0f}" for name in ("smallest_size", "largest_size"))
    of = labels.selection(_sides(record)[0])
    if value == low == high == 0:
        return f"{of} better at every size measured ({smallest} to {largest} samples)"
    if value == low == high == math.inf:
        return f"{of} not better at the largest size measured ({largest} samples)"
    outside: dict[float, str] = {
        0: f"below the smallest measured ({smallest} samples)",
        math.inf: f"beyond the largest measured ({largest} samples)",
    }
    text = outside.get(value, f"{value:,.0f} samples")
    if math.isnan(low):
        return f"{text} (no interval)"
    short: dict[float, str] = {0: f"below {smallest}", math.inf: f"beyond {largest}"}
    ends = (short.get(end, f"{end:,.0f}") for end in (low, high))
    return f"{text} [{', '.join(ends)}]"


def _options(record: Record) -> dict[str, str]:
    """Return the options of a line's quantity as they are printed."""
    return {name: _as_text(value) for name, value in json.loads(record["options"] or "{}").items()}


def _as_text(value: object) -> str:
    """Return an option as text: levels as they are called elsewhere, pairs with "as", no items as "none named"."""
    if isinstance(value, dict):
        return labels.selection({factor: labels.name(str(level)) for factor, level in value.items()})
    if isinstance(value, list):
        items = [" as ".join(map(str, item)) if isinstance(item, list) else labels.name(str(item)) for item in value]
        return ", ".join(items) or "none named"
    return f"{value:g}" if isinstance(value, float) else labels.name(str(value))


def _sides(record: Record) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return the levels of `of` and `over`, and those that both have or that the line is about."""
    of, over, setting = (_levels(record[name]) for name in ("of", "over", "within"))
    for factor in [factor for factor in of if of[factor] == over.get(factor) and factor not in METHOD]:
        setting[factor] = of.pop(factor)
        over.pop(factor)
    return of, over, setting


def _levels(text: str) -> dict[str, str]:
    """Parse "factor=level factor=level,level"; levels as they are printed."""
    parts = (part.split("=", 1) for part in text.split())
    return {factor: ", ".join(labels.name(level) for level in levels.split(",")) for factor, levels in parts}
