"""Labels of levels, as the manifest hands them to tables."""

from __future__ import annotations

import pytest

from tests.checkout import REPOSITORY
from tests.planning.test_plan import PAPER, WHOLE, plan_of, vary
from workflow_scripts.configuration.load import load
from workflow_scripts.planning.build_manifest import build_manifest
from workflow_scripts.planning.labels import label_of
from workflow_scripts.planning.manifest import Manifest


@pytest.mark.parametrize(
    ("factor", "level", "label"),
    [
        ("encoder", "pase_plus", "PASE+"),
        ("encoder", "random_unet", "random weights (U-Net)"),
        ("dataset", "openmic", "OpenMIC"),
        ("dataset", "fma_small", "FMA small"),
        ("corpus", "gtzan_unlabelled", "GTZAN (unlabelled)"),
        ("corpus", "a_checkpoint", ""),
        ("workers", "contrastive_tau01", "contrastive (temperature 0.1)"),
        ("workers", "WLPMCT", ""),
        ("weighting", "reweighted", "re-weighted"),
        ("augmentation", "clmr_thesis", "CLMR (thesis)"),
        ("head", "msspt_icassp", "Short-Chunk CNN (first version)"),
        ("head", "ast", "AST"),
        ("scenario", "fine_tuned", "fine-tuned"),
    ],
)
def test_a_level_has_the_label_of_its_entry_or_of_its_file(factor: str, level: str, label: str) -> None:
    config, _ = load([], folder=REPOSITORY / "config", merged=WHOLE)
    assert label_of(config, factor, level) == label


def test_the_label_of_a_file_is_not_that_of_an_entry_with_other_options() -> None:
    merged = vary(heads={"small": {"level": "linear"}, "own": {"level": "linear", "label": "mine"}})
    config, _ = load([], folder=REPOSITORY / "config", merged=merged)
    assert [label_of(config, "head", name) for name in ("linear", "small", "own")] == ["linear", "", "mine"]


def test_the_manifest_has_the_labels_of_planned_levels() -> None:
    manifest = build_manifest(plan_of(PAPER))
    assert manifest.labels["encoder"]["handcrafted"] == "handcrafted features"
    assert "cpc" not in manifest.labels["encoder"]
    assert Manifest.from_json(manifest.to_json()) == manifest
