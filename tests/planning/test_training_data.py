"""Training data of imported encoders are held against the data sets that they are tested on."""

from __future__ import annotations

import pytest

from tests.planning.test_plan import build_plan, fig2, vary
from workflow_scripts.planning.build_manifest import build_manifest
from workflow_scripts.planning.manifest import Manifest

TAGS = "magnatagatune"


@pytest.mark.parametrize(
    ("stated", "evaluated"),
    [
        ([TAGS], (TAGS, "magnatagatune_filtered")),  # the same files
        (["MagnaTagATune"], (TAGS, "magnatagatune_filtered")),
        (["magnatagatune_filtered"], (TAGS, "magnatagatune_filtered")),
        (["fma"], ("fma_small",)),
        (["fma_medium", "160k hours, undisclosed"], ("fma_small",)),
        (["audioset"], ()),
        (["mine"], ("mine",)),
        (["folder"], ()),  # folders of recordings share no more than their loader
    ],
)
def test_data_sets_of_the_same_recordings_are_found(stated: list[str], evaluated: tuple[str, ...]) -> None:
    own = {"loader": "folder", "source": "local", "path": "mine", "options": {"labels": "folders"}}
    checkpoint = {"encoder": "pase", "path": "x.ckpt", "label": "PASE of others", "trained_on": stated}
    config = vary(checkpoints={"official": checkpoint}, datasets={"mine": own})
    study = fig2()
    study["grid"]["dataset"] = ["openmic", TAGS, "magnatagatune_filtered", "fma_small", "mine"]
    study |= {"checkpoints": ["official"], "metric": "macro_f1", "metrics": {}, "comparisons": []}
    study["rows"] = ["corpus", *study["rows"]]
    manifest = build_manifest(build_plan(config, one=study))
    assert manifest.training_data["official"].evaluated == evaluated
    assert manifest.training_data["official"].names == tuple(stated)
    assert manifest.labels["corpus"]["official"] == "PASE of others"
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_an_encoder_whose_checkpoint_states_no_data_has_none() -> None:
    config = vary(checkpoints={"official": {"encoder": "pase", "path": "x.ckpt"}})
    manifest = build_manifest(build_plan(config, one=fig2() | {"checkpoints": ["official"], "rows": ["corpus"]}))
    assert manifest.training_data == {}
