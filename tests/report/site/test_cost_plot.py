import json
import re
from collections.abc import Mapping
from html import unescape
from pathlib import Path

import pytest

from tests.report.site.composed_site import compose_site
from tests.synthetic_results import Results, factors

MEANS = {"cpc": 0.5, "samplecnn": 0.4, "pase": 0.6, "random": 0.3}
SIZES = {"cpc": 2_000_000, "samplecnn": 4_000_000, "pase": 6_000_000}
AUDIO_SECONDS = 100
EMBEDDING_SECONDS = {"cpc": 20, "samplecnn": 10, "pase": 40, "random": 5}


def add_methods(results: Results, *, device: str = "cpu: x86_64") -> None:
    """Add one cell for each encoder with the records of its jobs."""
    results.manifest |= {"jobs": [], "pretrained_runs": []}
    results.manifest["studies"]["fig2"]["comparisons"] = []
    corpus = results.folder / "corpus" / "corpus.json"
    corpus.parent.mkdir()
    corpus.write_text(json.dumps({"seconds": AUDIO_SECONDS}))
    results.manifest["jobs"].append(["prepare", str(corpus), str(corpus.with_name("record.json")), "prepare.log"])
    for encoder, mean in MEANS.items():
        path = results.add(factors(encoder, "frozen", "openmic"), [mean - 0.01, mean, mean + 0.01])
        jobs = {"embed": {"seconds": EMBEDDING_SECONDS[encoder], "device": device}}
        if encoder in SIZES:
            jobs["pretrain"] = {"seconds": 3600, "device": device, "parameters": {"encoder": SIZES[encoder]}}
        places = [0, *(_add_job(results, stage, encoder, record) for stage, record in jobs.items())]
        results.manifest["cells"][-1]["jobs"] = places
        path.with_name("record.json").write_text(json.dumps({"seconds": 0, "device": device}))


def _add_job(results: Results, stage: str, encoder: str, record: Mapping) -> int:
    path = results.folder / stage / encoder / "record.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record))
    results.manifest["jobs"].append([stage, str(path.with_name("output")), str(path), str(path.with_suffix(".log"))])
    return len(results.manifest["jobs"]) - 1


def section_of(results: Results) -> str:
    page = (compose_site(results) / "index.html").read_text(encoding="utf-8")
    return page.partition("<h2>Score and cost</h2>")[2].partition("</main>")[0]


def numbers_of(section: str) -> dict[tuple[str, str], dict[str, str]]:
    """Return the numbers of the plot by axis and method."""
    table = re.findall(r"<tr>(.*?)</tr>", section.partition("Numbers of the figure")[2], re.DOTALL)
    headings, *rows = ([unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in table)
    numbers = [dict(zip(headings, row, strict=True)) for row in rows]
    return {(row["Panel"].split()[0], row["Method"].split()[0]): row for row in numbers}


@pytest.fixture(scope="module")
def section(tmp_path_factory: pytest.TempPathFactory) -> str:
    results = Results(tmp_path_factory.mktemp("costs"))
    add_methods(results)
    return section_of(results)


def test_costs_are_those_of_the_records(section: str) -> None:
    costs = {key: float(row["Value"]) for key, row in numbers_of(section).items()}
    assert costs == {
        **{("parameters", name): size for name, size in (("CPC", 2), ("SampleCNN", 4), ("PASE", 6))},
        **{("embedding:", name): pytest.approx(ratio) for name, ratio in (("CPC", 0.2), ("SampleCNN", 0.1))},
        **{("embedding:", name): pytest.approx(ratio) for name, ratio in (("PASE", 0.4), ("random", 0.05))},
        **{
            ("hours", name): pytest.approx(1 + seconds / 3600, abs=1e-5)
            for name, seconds in (("CPC", 20), ("PASE", 40))
        },
        **{
            ("hours", name): pytest.approx(hours, abs=1e-5)
            for name, hours in (("SampleCNN", 1 + 10 / 3600), ("random", 5 / 3600))
        },
    }
    assert "Times were measured on: cpu: x86_64." in section


def test_the_front_has_the_methods_whose_score_nothing_cheaper_reaches(section: str) -> None:
    front = {key for key, row in numbers_of(section).items() if row["Front"]}
    assert {name for axis, name in front if axis == "parameters"} == {"CPC", "PASE"}
    assert {name for axis, name in front if axis == "embedding:"} == {"CPC", "SampleCNN", "PASE", "random"}


def test_the_plot_is_inline_described_and_its_scores_are_those_of_the_leaderboard(section: str) -> None:
    assert section.count("<svg ") == 1
    assert re.search(r'<svg role="img" aria-label="Figure: Score and cost: OpenMIC \(twin\), macro F1', section)
    assert {key[1]: float(row["Mean"]) for key, row in numbers_of(section).items()} == pytest.approx(
        {"CPC": 50, "SampleCNN": 40, "PASE": 60, "random": 30}
    )


def test_methods_on_data_that_others_trained_the_encoder_on_are_marked(tmp_path: Path) -> None:
    results = Results(tmp_path)
    add_methods(results)
    results.manifest["training_data"] = {"audioset_music": {"names": ["openmic"], "evaluated": ["openmic"]}}
    section = section_of(results)
    assert "PASE (WLPMCT) ‡" in section
    assert "random weights ‡" not in section


def test_with_a_gpu_hours_are_gpu_hours(tmp_path: Path) -> None:
    results = Results(tmp_path)
    add_methods(results, device="cuda: NVIDIA")
    assert "GPU hours per pre-training seed" in section_of(results)


def test_costs_that_were_not_recorded_are_left_out_with_a_sentence(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for encoder, mean in MEANS.items():
        results.add(factors(encoder, "frozen", "openmic"), [mean - 0.01, mean, mean + 0.01])
    section = section_of(results)
    assert "<svg" not in section
    assert section.count("not drawn, because it is recorded for 0 methods.") == 3


def test_of_many_methods_the_best_of_each_encoder_are_drawn(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"] |= {"rows": ["encoder", "workers", "scenario"], "comparisons": []}
    for number in range(42):
        path = results.add(factors("pase", "frozen", "openmic", workers=f"set{number}"), [number / 100, 0.5, 0.5])
        path.with_name("record.json").write_text(json.dumps({"seconds": 60 + number, "device": "cpu"}))
    section = section_of(results)
    assert "Of 42 methods 40 are drawn: the best of each encoder." in section
    assert "set41" in section
    assert "set0 " not in section
