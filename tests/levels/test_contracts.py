"""Every level keeps the contract of its factor, imports nothing heavy, and a broken one is named."""

from __future__ import annotations

import inspect
import subprocess
import sys
import types

import pytest

from tests.checkout import REPOSITORY
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import field_descriptions
from workflow_scripts.levels import contracts, registry
from workflow_scripts.levels.contracts import CONTRACTS
from workflow_scripts.levels.options import LevelOptions

LEVELS = [(factor, name) for factor in registry.FOLDERS for name in registry.names(factor)]
DOCUMENTATION = REPOSITORY / "docs" / "extending.md"
HEAVY = ("torch", "torchaudio", "timm", "transformers")


def test_every_factor_has_a_contract() -> None:
    assert set(CONTRACTS) == set(registry.FOLDERS)


@pytest.mark.parametrize(("factor", "name"), LEVELS)
def test_every_level_keeps_the_contract_of_its_factor(factor: str, name: str) -> None:
    assert not CONTRACTS[factor].missing(registry.load(factor, name))


@pytest.mark.parametrize(("factor", "name"), LEVELS)
def test_members_have_the_form_that_the_contract_states(factor: str, name: str) -> None:
    level, contract = registry.load(factor, name), CONTRACTS[factor]
    for form in (form for member in contract.members for form in member.forms):
        member = getattr(level, form.partition("(")[0], None)
        if member is None or form.startswith("Options"):
            continue
        assert callable(member) == ("(" in form), form
        stated = [part.partition("=")[0] for part in form.partition("(")[2].rstrip(")").split(", ") if part]
        if callable(member):
            parameters = len(inspect.signature(member).parameters)
            assert parameters >= len(stated) - 1 if stated[-1:] == ["..."] else parameters == len(stated), form


@pytest.mark.parametrize(
    ("factor", "name"), [pair for pair in LEVELS if contracts.OPTIONS in CONTRACTS[pair[0]].required]
)
def test_options_are_models_whose_fields_are_described(factor: str, name: str) -> None:
    options = registry.load(factor, name).Options
    assert issubclass(options, LevelOptions)
    assert set(field_descriptions(options)) == set(options.model_fields)
    if factor != "figure":  # a figure cannot guess what it compares
        assert registry.options(registry.load(factor, name), {}) == options(), "all options have a default"


def test_what_a_level_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    level = types.SimpleNamespace(READS="maps", LABEL="mine", Options=LevelOptions)
    monkeypatch.setattr(registry.importlib, "import_module", lambda _: level)
    registry.load.cache_clear()
    with pytest.raises(UserError, match=r"^heads/linear.py must have build\(options, ...\), window\(options\)"):
        registry.load("head", "linear")


def test_a_constant_that_is_nearly_a_member_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    level = registry.load("scenario", "three_stage")
    monkeypatch.setattr(level, "HEADS_INPUT", "maps", raising=False)
    registry.load.cache_clear()
    with pytest.raises(
        UserError, match=r"^scenarios/three_stage.py: unknown constant HEADS_INPUT \(did you mean HEAD_"
    ):
        registry.load("scenario", "three_stage")


def test_a_fact_that_a_level_does_not_state_has_the_default_of_the_contract() -> None:
    assert registry.fact(registry.load("worker", "contrastive"), "VIEWS") == 2
    assert registry.fact(registry.load("worker", "mfcc"), "VIEWS") == 1


@pytest.mark.parametrize("factor", registry.FOLDERS)
def test_levels_import_nothing_heavy(factor: str) -> None:
    forms = [form for member in CONTRACTS[factor].members for form in member.forms if form.endswith("(options)")]
    facts = {form.removesuffix("(options)") for form in forms} - {"build", "weights_digest"}
    code = f"""
import sys
from workflow_scripts.levels import registry
for name in registry.names({factor!r}):
    level = registry.load({factor!r}, name)
    for fact in {sorted(facts)}:
        if hasattr(level, fact):
            getattr(level, fact)(level.Options())
print([name for name in {HEAVY} if name in sys.modules])
"""
    process = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert process.stdout.strip() == "[]", process.stdout + process.stderr


def test_the_documentation_has_the_contracts() -> None:
    assert contracts.as_markdown() in DOCUMENTATION.read_text(encoding="utf-8"), (
        "replace the table in docs/extending.md by that of workflow_scripts.levels.contracts.as_markdown()"
    )
