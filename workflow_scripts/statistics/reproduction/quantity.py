"""The one form of a quantity that is computed from our results and compared with a published number or claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from workflow_scripts.core.validation import StrictModel
from workflow_scripts.statistics.reproduction.context import Estimate, NoValue, Results, Selection

Kind = Literal["measured", "counted", "chosen"]


class NoOptions(StrictModel):
    """Options of a quantity that has none."""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """Definition of a quantity, in the unit of the published number.

    It is measured (with an interval over trials or pre-training seeds), counted (a property of a data set or a network)
    or chosen (a setting, equal to the published one by construction). `phrase` says what it is, with placeholders for
    the cells it is computed from (`of`), those it is compared with (`over`), their `metric`, the data set (`data`) and
    the `options`. `within` are the factors for each of whose levels it is computed separately, unless a statement names
    the factor. `compares`: it needs cells to compare with. `averages`: it takes lists of levels in step.
    `of_corpus`: it needs a data set or corpus in `of`. `of_metric`: it is computed from a metric of the cells.
    """

    kind: Kind
    compute: Callable[[Selection, Results], Estimate | NoValue]
    phrase: str
    within: tuple[str, ...] = ()
    compares: bool = False
    averages: bool = False
    of_corpus: bool = False
    of_metric: bool = True
    options: type[StrictModel] = NoOptions

    @property
    def meaning(self) -> str:
        """Meaning of `compute`, from its docstring; without one the phrase, which then has no placeholders."""
        if self.compute.__doc__ is None:
            return self.phrase
        sentence = " ".join(self.compute.__doc__.partition("\n\n")[0].split())
        return sentence.removeprefix("Return ").removeprefix("the ").rstrip(".")
