"""Published numbers and claims beside ours, as data: what csv, md, tex, html and the report show."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from workflow_scripts.report import labels
from workflow_scripts.report.renderers import environment, markdown_table, md, tex
from workflow_scripts.report.study_table import TWIN
from workflow_scripts.statistics.reproduction.context import MILLION, THOUSAND
from workflow_scripts.statistics.reproduction.table import NOT_COMPARABLE, NOT_OURS, NOT_RUN

TITLE = "Published claims and numbers"
SYSTEMS = {
    "A": "System A: Wu et al. 2021, multi-task self-supervised pre-training",
    "B": "System B: Spijkervet 2021, contrastive learning",
    "C": "System C: Garoufis et al. 2024, source separation",
}
HEADINGS = ("Claim", "Published", "Ours", "Verdict", "Evidence", "Choices")
FIRST_LETTERS = {"fig": "Fig.", "sec": "Sec.", "eq": "Eq.", "table": "Table"}
IN_WORDS = re.compile(r"^ordinal claim(?: \((.*)\))?$")  # the metric of a claim without a number
UNIT = re.compile(r"^(\w+) \((thousand|million)s\)$")  # the metric of a number printed in multiples
MULTIPLES = {"thousand": THOUSAND, "million": MILLION}
#: what a quantity is, of the cells it was computed from (`of`) and compared with (`over`)
PHRASES = {
    "mean": "{metric} of {of}",
    "difference": "{metric} of {of} minus that of {over}, points",
    "relative": "{metric} of {of} relative to {over}",
    "crossing": "training samples from which on {of} has the higher {metric} than {over}",
    "crossing_share": "percent of all labels from which on {of} has the higher {metric} than {over}",
    "label_saving": "how many times fewer labels {of} needs to come within {tolerance} points of the {metric} that "
    "{over} has with all",
    "best_probability": "probability with the highest {metric}, and those it does not surely beat",
    "largest_class_gap": "{metric} of {of} minus that of {over} in the class where they lie furthest apart, points",
    "loss_ratio": "validation losses, mean over epochs of the logarithm of their ratio, {of}",
    "clips": "clips of {data}",
    "songs": "clips of {data}",
    "heard_songs": "training and validation clips of {data}",
    "clip_seconds": "mean length of the clips of {data}, seconds",
    "hours": "hours of {data}",
    "classes": "classes of {data}",
    "classes_removed": "classes of {data} that are left out",
    "train_clips": "training samples",
    "train_songs": "training samples",
    "hop": "hop of every feature",
    "fft_length": "window of every feature",
    "prosody_features": "outputs of the prosody worker",
    "sample_rate": "sample rate of the encoders",
    "embedding_size": "embedding of the encoders",
    "pooled_size": "what the encoders give a head",
    "input_samples": "samples in a crop",
    "input_milliseconds": "length of a crop, ms",
    "cpc_layers": "layers of the CPC encoder",
    "cpc_filters": "filters of each layer of the CPC encoder",
    "cpc_hop": "samples between two frames of the CPC encoder",
    "cpc_hop_milliseconds": "time between two frames of the CPC encoder, ms",
    "prediction_steps": "frames that predictive coding looks ahead",
    "prediction_milliseconds": "how far predictive coding looks ahead, ms",
    "negatives": "negatives of predictive coding",
    "batch": "clips in a step of pre-training",
    "pieces": "pieces of clips in a step of pre-training",
    "adam_rate": "learning rate of pre-training with Adam",
    "lars_factor": "what LARS multiplies the root of the batch by",
    "lars_rate": "full learning rate of pre-training with LARS",
    "parameters": "parameters of {of}",
}
METHOD = ("encoder", "scenario")  # named on either side even where both have the same
ALL_THREE = "all three"  # of the data sets, or of the scenarios
DIGITS = {"counted": 3, "chosen": 5}  # a count is held against a rounded one; a setting is shown as it is
#: width in the line of each LaTeX column; the longest texts get most
TEX_WIDTHS = (0.3, 0.12, 0.2, 0.12, 0.1, 0.06)
LEAST_DECIMALS = 1
BOUNDS = {"not above": "at most", "not below": "at least"}  # numbers that are no goal
BEYOND = "beyond what was measured"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One published number or claim, or one of the settings in which it was looked at."""

    claim: str
    published: str
    ours: str
    meaning: str
    verdict: str
    source: str
    evidence: str
    choices: str
    remarks: str
    run: bool

    @property
    def cells(self) -> tuple[tuple[str, str], ...]:
        """Text, and the smaller text under it, in the order of `HEADINGS`."""
        return (
            *((self.claim, self.remarks), (self.published, ""), (self.ours, self.meaning)),
            *((self.verdict, ""), (self.evidence, self.source), (self.choices, "")),
        )


@dataclass(frozen=True, kw_only=True)
class System:
    """All lines of one publication, in its order, grouped by table, figure or section."""

    name: str
    groups: tuple[tuple[str, tuple[Line, ...]], ...]

    @property
    def lines(self) -> tuple[Line, ...]:
        """Every line."""
        return tuple(line for _, lines in self.groups for line in lines)

    @property
    def run(self) -> tuple[tuple[str, tuple[Line, ...]], ...]:
        """The groups with only those lines that our results say something of."""
        kept = ((where, tuple(line for line in lines if line.run)) for where, lines in self.groups)
        return tuple((where, lines) for where, lines in kept if lines)

    @property
    def summary(self) -> str:
        """How many lines got which verdict."""
        counts = Counter(line.verdict.split(" (")[0].split(": no")[0] for line in self.lines if line.run)
        said = [f"{count} {verdict}" for verdict, count in counts.items()]
        silent = Counter(line.verdict.split(":")[0] for line in self.lines if not line.run)
        return "; ".join([*said, f"{silent.pop(NOT_RUN, 0)} {NOT_RUN}", *(f"{silent[each]} {each}" for each in silent)])


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """The whole table and what its reader must know."""

    systems: tuple[System, ...]
    notes: tuple[str, ...]


def build(table: pd.DataFrame) -> Reproduction:
    """Put `reproduction.csv` into words."""
    records = table.to_dict("records")
    systems = []
    for system, rows in itertools.groupby(records, key=lambda record: record["system"]):
        groups = [
            (where, tuple(_line(record) for record in group))
            for where, group in itertools.groupby(rows, key=lambda record: _where(record["table_or_figure"]))
        ]
        systems.append(System(name=SYSTEMS[system], groups=tuple(groups)))
    return Reproduction(systems=tuple(systems), notes=tuple(_notes(table)))


def tidy(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the words of each line beside its numbers."""
    lines = [_line(record) for record in table.to_dict("records")]
    return table.assign(
        claim=[line.claim for line in lines],
        meaning=[line.meaning for line in lines],
        said=[line.verdict for line in lines],
        evidence=[line.evidence for line in lines],
    )


def _line(record: dict) -> Line:
    run = record["verdict"] not in (NOT_RUN, NOT_OURS)
    return Line(
        claim=_claim(record),
        published=_published(record),
        ours=_ours(record) if run else "",
        meaning=_meaning(record) if record["quantity"] else "",
        verdict=_verdict(record),
        source=record["source"].replace(" ", ", "),
        evidence=_evidence(record) if run else "",
        choices=record["choices"].replace(" ", ", "),
        remarks=record["notes"] if record["mean"] else "",
        run=run,
    )


def _where(text: str) -> str:
    """Table, figure or section as papers print it, such as "Fig. 5 / Sec. 4.3"."""
    return labels.capital(re.sub(r"\b(fig|sec|eq|table)\b", lambda found: FIRST_LETTERS[found[0]], text))


def _claim(record: dict) -> str:
    """What the row is about: model, setting, data, scenario and metric."""
    about = [record["model"], record["setting"]]
    if record["pretrain_data"] not in ("", "none"):
        about.append(f"pre-trained on {record['pretrain_data']}")
    if record["eval_data"]:
        about.append(f"on {record['eval_data']}{' data sets' if record['eval_data'] == ALL_THREE else ''}")
    about.append(f"{record['scenario']}{' scenarios' if record['scenario'] == ALL_THREE else ''}")
    metric = UNIT.sub("", IN_WORDS.sub(r"\1", record["metric"]))  # a unit stands beside the number
    return ": ".join(filter(None, [", ".join(filter(None, about)), metric]))


def _published(record: dict) -> str:
    """The number as printed, with its deviation or its unit, or the claim in words."""
    if not record["mean"]:
        return record["notes"]
    unit = UNIT.match(record["metric"])
    printed = f"{record['mean']} ± {record['std']}" if record["std"] else record["mean"]
    printed = f"{BOUNDS[record['expected']]} {printed}" if record["expected"] in BOUNDS else printed
    return f"{printed} {unit[2]} {unit[1]}" if unit else printed


def _ours(record: dict) -> str:
    value, low, high = record["value"], record["ci_low"], record["ci_high"]
    if record["quantity"] == "crossing":
        return _crossing(record)
    if record["kind"] != "measured":
        ends = [_amount(end, DIGITS[record["kind"]], record["metric"]) for end in (low, high)]
        return labels.RANGE.join(dict.fromkeys(ends))
    decimals = max(LEAST_DECIMALS, len(record["mean"].partition(".")[2]))
    if math.isnan(value):
        return "undefined"
    value_said, *ends = (_number(each, decimals, record) for each in (value, low, high))
    return f"{value_said} (no interval)" if math.isnan(low) else f"{value_said} [{', '.join(ends)}]"


def _number(value: float, decimals: int, record: dict) -> str:
    if math.isinf(value) and record["quantity"] == "label_saving":
        return f"at least {labels.number(record['largest'] / record['smallest'], decimals)}"
    return BEYOND if math.isinf(value) else labels.number(value, decimals)


def _amount(value: float, digits: int, metric: str) -> str:
    """A count or setting with its unit; less than one of the published multiples as it was counted."""
    unit = UNIT.match(metric)
    if unit and value < 1:
        return f"{value * MULTIPLES[unit[2]]:,.0f} {unit[1]}"
    said = f"{value:,.0f}" if value >= THOUSAND and value == round(value) else f"{value:.{digits}g}"
    return " ".join([said, *(unit.group(2, 1) if unit else ())])


def _crossing(record: dict) -> str:
    """A training size with its interval, in samples; in words where it lies outside the sizes measured."""
    value, low, high = (THOUSAND * record[name] for name in ("value", "ci_low", "ci_high"))
    smallest, largest = (f"{THOUSAND * record[name]:,.0f}" for name in ("smallest", "largest"))
    of = labels.selection(_sides(record)[0])
    if value == low == high == 0:
        return f"{of} better at every size measured ({smallest} to {largest} samples)"
    if value == low == high == math.inf:
        return f"{of} not better at the largest size measured ({largest} samples)"
    outside: dict[float, str] = {0: f"below the smallest measured ({smallest} samples)"}
    outside[math.inf] = f"beyond the largest measured ({largest} samples)"
    said = outside.get(value, f"{value:,.0f} samples")
    if math.isnan(low):
        return f"{said} (no interval)"
    short: dict[float, str] = {0: f"below {smallest}", math.inf: f"beyond {largest}"}
    ends = (short.get(end, f"{end:,.0f}") for end in (low, high))
    return f"{said} [{', '.join(ends)}]"


def _meaning(record: dict) -> str:
    """What our number is; what both sides have in common is said once, in front."""
    of, over, setting = _sides(record)
    said = PHRASES.get(record["quantity"], "{quantity}").format(
        data=setting.get("dataset") or of.get("dataset") or of.get("corpus", ""),
        metric=labels.measure(record["our_metric"]).name,
        of=labels.selection(of) if of else "all cells",
        over=labels.selection(over) if over else "",
        tolerance=f"{record['tolerance']:g}",
        quantity=labels.name(record["quantity"]),
    )
    where = [setting.pop("dataset")] if "dataset" in setting else []
    where += [labels.selection({factor: level}) for factor, level in setting.items()]
    meaning = f"{', '.join(where)}: {said}" if where else said
    left_out = labels.selection(_levels(record["left_out"])) if record["left_out"] else ""
    return f"{meaning}; without {left_out}, for which this config lacks cells" if left_out else meaning


def _sides(record: dict) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Levels of either side, and those that both have or that the line is about."""
    of, over, setting = (_levels(record[name]) for name in ("of", "over", "within"))
    for factor in [factor for factor in of if of[factor] == over.get(factor) and factor not in METHOD]:
        setting[factor] = of.pop(factor)
        over.pop(factor)
    return of, over, setting


def _levels(text: str) -> dict[str, str]:
    """Read back "factor=level factor=level,level", with levels as they are printed."""
    parts = (part.split("=", 1) for part in text.split())
    return {factor: ", ".join(labels.name(level) for level in levels.split(",")) for factor, levels in parts}


def _verdict(record: dict) -> str:
    verdict, reason = record["verdict"], record["reason"]
    if verdict == NOT_RUN:
        return f"{NOT_RUN}: {reason}" if record["study"] and reason != NOT_RUN else NOT_RUN
    if verdict == NOT_OURS:
        return f"{NOT_OURS}: {reason}"
    if verdict == NOT_COMPARABLE:
        return f"{NOT_COMPARABLE}: {reason}"
    if record["kind"] == "chosen":
        return f"by construction: {verdict}"
    if record["expected"] and TWIN in record["source"].split():
        verdict += ", on twin data"
    unit = UNIT.match(record["metric"])
    margin = f"margin {'' if record['expected'] else '±'}{record['margin']:g}{f' {unit[2]}' if unit else ''}"
    margin = "" if math.isnan(record["margin"]) else margin
    details = "; ".join(filter(None, [margin, reason, "in part" if record["left_out"] else ""]))
    return f"{verdict} ({details})" if details else verdict


def _evidence(record: dict) -> str:
    if record["kind"] == "chosen":
        return ""
    if record["kind"] == "counted":
        return "counted"
    replicates = labels.counted(int(record["n"]), labels.written(record["replicate"]))
    one = record["replicate"] == "trials" and record["n_pretraining_seeds"] > 0
    return f"{replicates} of one checkpoint" if one else replicates


def _notes(table: pd.DataFrame) -> Iterable[str]:
    yield (
        "Ours is in the unit of the published number, with its 95 % interval. A number is equivalent when the 90 % "
        "interval of its difference from the published one lies within the margin declared beforehand, different when "
        "it lies wholly beyond, else inconclusive (two one-sided tests). The published mean is taken as exact."
    )
    yield (
        "A claim in words holds when the 95 % interval lies on the side claimed, does not hold when it lies on the "
        "other, else it is inconclusive; so does a bound, a number printed as the most or the least, with its margin. "
        "Each line stands for itself: nothing is adjusted for their number."
    )
    yield (
        "By construction: a setting that we chose; shown is what was run. "
        "Not run: no study of this config speaks of it, or its cells were not run. "
        "In part: the config has only some of the cells that the claim is about; the line says which it lacks."
    )
    if (table["quantity"] == "crossing").any():
        yield (
            "A crossing is known only between the smallest and the largest training size measured: below and beyond "
            "say that it, or an end of its interval, lies outside them."
        )
    if table["source"].str.split().map(lambda sources: TWIN in sources).any():
        yield (
            "Twin: small synthetic data sets. Their numbers must not be compared with published numbers and get no "
            "verdict; what they say of a claim in words is true of the twins."
        )
    if ((table["replicate"] == "trials") & (table["n_pretraining_seeds"].fillna(0) > 0)).any():
        yield (
            "One checkpoint: the interval spans the trials of that checkpoint. "
            "What it shows is true of this checkpoint; another pre-training seed may give another result."
        )
    yield "Choices such as A1: what a publication leaves open, and what we chose, is in docs/reproduction-notes.md."


def markdown(reproduction: Reproduction) -> str:
    """Sections by system and by table or figure, as GitHub-flavoured Markdown."""
    parts = [f"# {TITLE}", "\n".join(f"- {md(note)}" for note in reproduction.notes)]
    for system in reproduction.systems:
        parts += [f"## {md(system.name)}", md(labels.capital(system.summary)) + "."]
        for where, lines in system.groups:
            cells = [["<br>".join(filter(None, map(_plain, cell))) for cell in line.cells] for line in lines]
            parts += [f"### {md(where)}", markdown_table(list(HEADINGS), cells, texts=len(HEADINGS))]
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    """Text of a cell that Markdown shows as it is; the table escapes the bars."""
    return md(text).replace("\\|", "|")


def latex(reproduction: Reproduction) -> str:
    r"""One `longtable` per system; the document needs `\usepackage{booktabs,longtable,array}`."""
    columns = "".join(rf">{{\raggedright\arraybackslash}}p{{{width}\linewidth}}" for width in TEX_WIDTHS)
    parts = ["% needs \\usepackage{booktabs,longtable,array}; set it in \\footnotesize and landscape"]
    for system in reproduction.systems:
        header = " & ".join(HEADINGS) + r" \\"
        lines = [rf"\begin{{longtable}}{{{columns}}}", rf"\caption{{{tex(f'{TITLE}. {system.name}')}}}\\"]
        lines += [r"\toprule", header, r"\midrule", r"\endhead"]
        for number, (where, group) in enumerate(system.groups):
            lines += [r"\midrule"] if number else []
            lines.append(rf"\multicolumn{{{len(HEADINGS)}}}{{l}}{{\emph{{{tex(where)}}}}} \\*")
            lines += [" & ".join(_tex_cell(*cell) for cell in line.cells) + r" \\" for line in group]
        parts.append("\n".join([*lines, r"\bottomrule", r"\end{longtable}"]))
    parts.append("\n".join(rf"\par\noindent{{\footnotesize {tex(note)}\par}}" for note in reproduction.notes))
    return "\n\n".join(parts) + "\n"


def _tex_cell(text: str, under: str) -> str:
    return r" \newline ".join(filter(None, [tex(text), rf"\emph{{{tex(under)}}}" if under else ""]))


def html(reproduction: Reproduction) -> str:
    """One self-contained page; each system can be folded."""
    return environment().get_template("reproduction.html.j2").render(**_context(reproduction)) + "\n"


def section(reproduction: Reproduction) -> Markup:
    """Part of the report: what was run first, then each system, folded."""
    template = environment().get_template("reproduction_section.html.j2")
    return Markup(template.render(**_context(reproduction)))


def _context(reproduction: Reproduction) -> dict[str, object]:
    return {"reproduction": reproduction, "title": TITLE, "headings": ("Where", *HEADINGS)}
