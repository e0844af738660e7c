"""Files that a config downloads, their sources, and what a change of these does not run again."""

from __future__ import annotations

import json

import pytest

from tests.checkout import REPOSITORY
from workflow_scripts.configuration.load import load
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning import costs
from workflow_scripts.planning.downloads import describe_downloads, list_files
from workflow_scripts.planning.plan import Plan

CONFIGS = REPOSITORY / "config"
FMA = "https://mirror.example/fma/"


def make_plan(tmp_path, text: str = "") -> Plan:
    file = tmp_path / "mine.yaml"
    file.write_text(text or "{}")
    return Plan(*load([CONFIGS / "config.yaml", file], folder=CONFIGS))


def test_each_archive_is_planned_once_and_a_small_set_inside_a_larger_one_not_at_all(tmp_path):
    plan = make_plan(tmp_path)
    assert [file.remote.name for file in list_files(plan)] == [
        *("fma_medium.zip", "fma_metadata.zip", "annotations_final.csv", "mp3.zip", "musdb18.zip"),
        "openmic-2018-v1.0.0.tgz",
    ]
    alone = make_plan(tmp_path, "studies: [wu2021_fig2]\ntrim: {wu2021_fig2: {corpus: [fma_small]}}")
    assert "fma_small.zip" in {file.remote.name for file in list_files(alone)}


def test_the_plan_counts_downloads_and_kept_archives_twice(tmp_path):
    sizes = [
        {space.kind: space.size for space in costs.estimate_space(make_plan(tmp_path, text))}["downloads"]
        for text in ("", "sources: {musdb18: {keep_archives: true}}")
    ]
    musdb18 = 4_684_228_845
    assert sizes[0] == 23_825_005_356 + 358_412_441 + 2_972_769_864 + musdb18 + 2_623_376_754
    assert sizes[1] == sizes[0] + musdb18


def test_sources_are_passed_to_the_jobs_of_their_loader_and_run_nothing_again(tmp_path):
    plain = make_plan(tmp_path)
    plan = make_plan(tmp_path, f"sources: {{fma_small: {{urls: ['{FMA}'], archive: ~/own, keep_archives: true}}}}")
    (source,) = json.loads(describe_downloads(plan))["fma"]["sources"]
    assert source["urls"] == [FMA]
    assert not source["archive"].startswith("~")
    assert json.loads(describe_downloads(plain))["fma"]["planned"] == ["fma_medium.zip", "fma_metadata.zip"]
    assert [plan.jobs.acquire(name) for name in plan.config.datasets] == [
        plain.jobs.acquire(name) for name in plain.config.datasets
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sources: {openmik: {}}", r"mine\.yaml: sources\.openmik: .*openmic"),
        ("sources: {openmic: {url: [a]}}", "did you mean urls"),
        ("sources: {openmic: {urls: ['ftp://a/b']}}", "allowed: https://HOST/PATH"),
        ("sources: {openmic: {urls: ['https://me:secret@host/b']}}", "without a login"),
        ("sources: {openmic: {urls: ['https://[/']}}", "is no address"),
        ("sources: {gtzan: {archive: a.tgz}}", "gtzan cannot be downloaded: remove the entry"),
        (
            "sources: {openmic: {archive: a.tgz}}\ndatasets: {openmic: {source: local, path: a}}",
            r"is read from the folder datasets\.<name>\.path",
        ),
        (
            f"sources: {{fma_small: {{archive: {__file__}}}}}",
            "none of its files; allowed: folders, and names fma_metadata.zip",
        ),
        (
            "sources: {magnatagatune: {urls: ['https://host/a.zip']}}",
            r"names annotations_final\.csv, mp3\.zip, mp3\.zip",
        ),
        ("datasets: {downloads: {loader: openmic, source: download}}", "a folder of Prelude's own"),
    ],
)
def test_an_entry_of_sources_that_serves_nothing_is_one_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as caught:
        make_plan(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_any_name_serves_for_the_only_file_of_a_data_set(tmp_path):
    text = "sources: {openmic: {archive: mine.tgz, urls: ['https://mirror.example/a?b=c']}}"
    assert make_plan(tmp_path, text).config.sources["openmic"].archive == "mine.tgz"
