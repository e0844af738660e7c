"""Order of several methods."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from workflow_scripts.statistics.contrasts import SETTINGS
from workflow_scripts.statistics.estimation import ConfidenceInterval, compare_methods
from workflow_scripts.statistics.reproduction.context import PERCENT, Estimate, NoValue, Results, Selection
from workflow_scripts.statistics.reproduction.measurement import LEVELS, build_estimate, cells_of_method
from workflow_scripts.statistics.reproduction.quantity import Quantity
from workflow_scripts.statistics.samples import NotComparable


def order(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the smallest lead, in points, of a step of `of` over the next: above zero if all are in descending order.

    Its interval reaches from the smallest lower to the smallest upper end of the leads' intervals: the whole order is
    shown only if every lead is (an intersection-union test, which needs no adjustment for the number of leads).
    """
    sides = [cells_of_method(side, selection, results) for side in selection.of]
    for side in sides:
        if isinstance(side, NoValue):
            return side
    cells = [side for side in sides if not isinstance(side, NoValue)]
    if len(cells) < 2:
        return NoValue(reason="fewer than two methods to put in order")
    bounds = []
    for level in LEVELS:
        leads = [compare_methods(better, worse, results.replicates, level=level) for better, worse in pairwise(cells)]
        for lead in leads:
            if isinstance(lead, NotComparable):
                return NoValue(reason=lead.reason)
        known = [lead for lead in leads if not isinstance(lead, NotComparable)]
        low, high = (float(np.min([getattr(lead.ci, end) for lead in known])) for end in ("low", "high"))
        bounds.append(ConfidenceInterval(low=PERCENT * low, high=PERCENT * high))
    smallest = min(known, key=lambda lead: lead.mean)
    return build_estimate(
        PERCENT * smallest.mean,
        (bounds[0], bounds[1]),
        variance_sources=smallest.std_errors.variance_sources,
        replicate=smallest.replicate,
        n=min(max(lead.n) for lead in known),
        sides=cells,
        results=results,
    )


QUANTITIES = {
    "order": Quantity(
        kind="measured",
        compute=order,
        phrase="smallest lead in {metric} of one of {of} over the next, points",
        within=SETTINGS,
        averages=True,
    ),
}
