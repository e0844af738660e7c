import re
from html import unescape
from pathlib import Path

from tests.report.site.composed_site import compose_site
from tests.synthetic_results import Results, factors
from workflow_scripts.report.number_format import MINUS

MEANS = {"pase": (0.5, 0.4), "samplecnn": (0.3, 0.6), "random": (0.35, 0.3), "handcrafted": (0.4, 0.2)}


def add_all(results: Results, datasets: tuple[str, ...] = ("openmic", "gtzan"), **more: object) -> None:
    for encoder, means in MEANS.items():
        for dataset, mean in zip(datasets, means, strict=False):
            results.add(factors(encoder, "frozen", dataset, **more), [mean - 0.01, mean, mean + 0.01])


def section_of(results: Results) -> str:
    page = (compose_site(results) / "index.html").read_text(encoding="utf-8")
    return page.partition("<h2>Encoders by data sets</h2>")[2].partition("<h2>")[0]


def cells_of(section: str) -> dict[str, list[tuple[str, str, int]]]:
    """Return number, colour and its share of the deepest colour by encoder."""
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', section, re.DOTALL)
    pattern = r'<td class="number ?(\w*)"(?: style="--t:(\d+)%")?><a href="cells/\w+\.html">(.*?)</a></td>'
    return {
        unescape(re.sub(r"<[^>]*>", "", name)): [
            (text.split()[0], side, int(share or 0)) for side, share, text in re.findall(pattern, cells)
        ]
        for name, cells in rows
    }


def test_colours_are_differences_from_the_best_floor_of_each_data_set_on_one_scale(tmp_path: Path) -> None:
    results = Results(tmp_path)
    add_all(results)
    section = section_of(results)
    assert cells_of(section) == {
        "PASE (WLPMCT)": [("50.0", "above", 33), ("40.0", "above", 33)],
        "SampleCNN (WLPMCT)": [("30.0", "below", 33), ("60.0", "above", 100)],
        "random weights (floor)": [("35.0", "below", 17), ("30.0", "", 0)],
        "handcrafted features (floor)": [("40.0", "", 0), ("20.0", "below", 33)],
    }
    assert "Blue numbers are above the best floor of their column, orange ones below; one scale" in section
    assert re.findall(r'<span class="\w+" style="--t:\d+%">(.*?)</span>', section) == [
        f"{MINUS}30.0 points",
        f"{MINUS}15.0 points",
        "0.0 points",
        "+15.0 points",
        "+30.0 points",
    ]


def test_without_floors_colours_are_differences_from_the_lowest_number(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"] |= {"floors": [], "comparisons": []}
    add_all(results)
    section = section_of(results)
    assert "No floor was measured" in section
    assert set(cells_of(section)) >= {"random weights", "handcrafted features"}
    assert not re.search('class="number below"', section)


def test_the_setting_with_the_most_numbers_is_shown(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"] |= {"columns": ["dataset", "fraction"], "comparisons": []}
    for encoder in ("pase", "samplecnn"):
        results.add(factors(encoder, "frozen", "openmic", fraction="10pct"), [0.1, 0.1, 0.2])
    add_all(results)
    section = section_of(results)
    assert "Scenario frozen, head linear, label fraction 100 %, protocol wu2021" in section
    assert len(cells_of(section)) == 4


def test_one_data_set_has_no_map_but_a_sentence(tmp_path: Path) -> None:
    results = Results(tmp_path)
    add_all(results, ("openmic",))
    section = section_of(results)
    assert "No study has measured two encoders on two data sets in one setting" in section
    assert "<table" not in section
