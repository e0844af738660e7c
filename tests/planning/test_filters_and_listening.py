"""Jobs for figures of filters and for listening pages: which encoder, which audio, and what must be kept."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.checkout import REPOSITORY
from tests.planning.test_plan import WHOLE
from workflow_scripts.configuration.load import load
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.build_manifest import build_manifest, figure_inputs
from workflow_scripts.planning.plan import Plan


def plan_of(*studies: str, keep: Mapping[str, Any] | None = None, **trim: Any) -> Plan:
    """Plan of these studies, trimmed, with what the thesis's protocol keeps by scenario."""
    config = copy.deepcopy(WHOLE) | {"studies": list(studies), "trim": dict.fromkeys(studies, trim)}
    if keep is not None:
        config["protocols"]["spijkervet2021"]["scenarios"] = dict(keep)
    return Plan(*load([], folder=REPOSITORY / "config", merged=config))


def test_a_pretrained_encoder_s_waves_have_the_scale_of_the_audio_that_it_learned_from() -> None:
    plan = plan_of("spijkervet2021_fig7_2")
    corpora = {"billboard", "magnatagatune"}
    for run, cell in plan.filter_jobs:
        job = plan.jobs.visualise_filters(run, cell)
        audio = "billboard" if run.is_trained_here else "magnatagatune"
        assert job.code != plan.jobs.prepare(audio, 22050).code
        assert audio in corpora
    assert {run.corpus for run, _ in plan.filter_jobs} == {"billboard", "none"}


def test_a_figure_reads_the_spectra_of_its_own_cells_only() -> None:
    inputs = figure_inputs(build_manifest(plan_of("spijkervet2021_fig7_3", "spijkervet2021_fig6_2")))
    assert len([path for path in inputs if path.endswith("spectra.npz")]) == 2


def test_a_trained_encoder_s_spectra_run_again_with_its_evaluation() -> None:
    plan = plan_of("spijkervet2021_fig7_3")
    (trained,) = [pair for pair in plan.filter_jobs if pair[1].trains_encoder]
    before = plan.jobs.visualise_filters(*trained).code
    changed = copy.deepcopy(WHOLE) | {"studies": ["spijkervet2021_fig7_3"]}
    changed["protocols"]["spijkervet2021"]["batch"] = 7
    assert Plan(*load([], folder=REPOSITORY / "config", merged=changed)).jobs.visualise_filters(*trained).code != before


@pytest.mark.parametrize(
    ("study", "options", "message"),
    [
        (
            "spijkervet2021_fig7_3",
            {"keep": {}},
            r"it draws the encoder that the first supervised trial trains: set "
            r"protocols\.spijkervet2021\.scenarios\.supervised\.keep to first_trial",
        ),
        ("spijkervet2021_fig7_1", {"floors": ["random_samplecnn", "random"]}, "random is no stack of convolutions"),
        (
            "spijkervet2021_fig7_7",
            {"keep": {}},
            r"its tags are those of kept heads: set protocols\.spijkervet2021\.scenarios\.frozen\.keep to first_trial",
        ),
        (
            "spijkervet2021_fig7_6",
            {"figure": {"kind": "factors", "of": "head"}, "keep": {}},
            r"figure: it draws kept heads: set protocols\.spijkervet2021\.scenarios\.frozen\.keep to first_trial",
        ),
        (
            "spijkervet2021_fig7_1",
            {"figure": {"kind": "filter_spectra", "layers": [1, 7]}},
            r"figure\.layers\.1: 7 is not allowed; allowed: at most 6",
        ),
        ("spijkervet2021_fig7_7", {"scenario": ["supervised"]}, "it needs an encoder that is evaluated frozen"),
    ],
)
def test_what_is_missing_for_a_figure_or_a_page_is_named_before_the_run(
    study: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        plan_of(study, **options)


def test_a_listening_page_has_audio_where_twins_or_licences_allow_or_where_it_is_asked_for() -> None:
    def audio(**listening: Any) -> list[str]:
        plan = plan_of("spijkervet2021_fig7_7", listening=listening, dataset=["magnatagatune", "openmic"])
        (page,) = plan.listening_pages.values()
        return json.loads(plan.jobs.write_listening_page(page).config)["audio"]

    assert audio() == ["openmic"]
    assert audio(audio=True) == ["magnatagatune", "openmic"]
    assert audio(audio=False) == []


def test_the_data_sets_of_a_page_have_the_order_in_which_its_job_reads_them() -> None:
    """The command compares its inputs with the plan in the order of its config, whose keys are sorted."""
    (page,) = plan_of("spijkervet2021_fig7_7", dataset=["msd", "magnatagatune"]).listening_pages.values()
    assert [cell.dataset for cell in page.cells] == ["magnatagatune", "msd"]
