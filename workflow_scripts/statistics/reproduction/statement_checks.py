"""Checks of a statement against the published row that it names and against its quantity."""

from __future__ import annotations

import math

from workflow_scripts.configuration.published import Statement
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import StrictModel, parse
from workflow_scripts.statistics.reproduction.published_rows import PublishedRows, find_row, read_published
from workflow_scripts.statistics.reproduction.quantities.registry import QUANTITIES
from workflow_scripts.statistics.reproduction.quantity import Quantity

#: what may be expected of a quantity: for a claim in words, and for a number that bounds ours
CLAIMS = ("above zero", "below zero", "not above zero", "not significantly above zero", "near zero")
BOUNDS = ("not above", "not below")


def published_value(statement: Statement, *, study: str) -> float:
    """Return the number in the row that a statement names, in the printed unit; not-a-number for a claim in words."""
    row = check_statement(read_published(), statement, where=f"study {study}: published {statement.id}")
    return float(row["mean"] or math.nan)


def check_statement(published: PublishedRows, statement: Statement, *, where: str) -> dict[str, str]:
    """Return the published row of a statement; `UserError` if the statement does not fit it.

    A statement does not fit if its row does not exist, it lacks what its quantity needs or states what the quantity
    does not use, or it expects of a number what only a claim can be.
    """
    row = find_row(published, statement.id, where=where)
    if statement.quantity not in QUANTITIES:
        raise UserError(f"{where}: quantity: unknown {statement.quantity!r}; allowed: {', '.join(QUANTITIES)}")
    quantity = QUANTITIES[statement.quantity]
    allowed = (None, *BOUNDS) if row["mean"] else CLAIMS
    if statement.expected not in allowed:
        names = ", ".join(filter(None, allowed))
        raise UserError(f"{where}: expected: {statement.expected or 'is missing'}; allowed for this row: {names}")
    if row["mean"] and quantity.kind != "chosen" and statement.margin is None:
        raise UserError(f"{where}: margin: declare how far from {row['mean']} still counts as agreement")
    if statement.expected == "near zero" and statement.margin is None:
        raise UserError(f"{where}: margin: declare how far from zero still counts as near")
    _check_cells(statement, quantity, where=where)
    read_options(statement, where=where)
    return row


def read_options(statement: Statement, *, where: str) -> StrictModel:
    """Return the options of a statement's quantity; `UserError` names a wrong one."""
    return parse(QUANTITIES[statement.quantity].options, statement.options, where=f"{where}: options")


def _check_cells(statement: Statement, quantity: Quantity, *, where: str) -> None:
    """Raise unless `of` and `over` are what the quantity is computed from; reading them has checked the factors."""
    name = statement.quantity
    if quantity.compares != bool(statement.over_steps):
        raise UserError(f"{where}: {name} {'needs' if quantity.compares else 'has no'} `over`")
    if len(statement.of_steps) > 1 and not quantity.averages:
        allowed = ", ".join(other for other, known in QUANTITIES.items() if known.averages)
        raise UserError(f"{where}: of: {name} takes one level of a factor, not a list; lists are allowed in {allowed}")
    if quantity.of_corpus and not {"dataset", "corpus"} & {*statement.of_steps[0]}:
        raise UserError(f"{where}: of: {name} needs a dataset or a corpus")
