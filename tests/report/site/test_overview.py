import copy
import re
from pathlib import Path

import pytest

from tests.report.site.composed_site import compose_site
from tests.report.test_renderers import outline
from tests.synthetic_results import STUDY, Results, factors, full


def overview(results: Results) -> str:
    """Compose the site; return its first page."""
    return (compose_site(results) / "index.html").read_text(encoding="utf-8")


def words(page: str) -> str:
    return re.sub(r"\s+", " ", outline(page).text)


def facts(page: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))


def findings(page: str) -> list[str]:
    """Return the verdict and the sentence of each finding, in their order."""
    items = re.findall(r'<li><span class="mark" role="img" aria-label="([^"]+)">.</span>(.*?)</li>', page)
    return [f"{verdict}{words(sentence)}" for verdict, sentence in items]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    results = full(tmp_path_factory.mktemp("overview"))
    Path(results.manifest["cells"][0]["path"]).unlink()
    return results


@pytest.fixture(scope="module")
def page(results: Results) -> str:
    return overview(results)


def test_what_was_run_stands_in_a_list(page: str) -> None:
    assert facts(page) == {
        "Scale": "demo",
        "Data": "OpenMIC (twin, 90 test clips); FMA small (twin, 90 test clips)",
        "Pre-trained encoders": "none trained here",
        "Evaluations": "9 of 10 planned, with 90 trials in all",
        "Missing": "1 of 10 evaluations are missing; their cells show the reason",
        "Cost": "not recorded",
    }


def test_means_over_data_sets_stand_first_then_the_strongest_with_effect_and_interval(page: str) -> None:
    across, other, *sentences = findings(page)
    assert re.match(
        r"better: Mean over OpenMIC and FMA small \(twin\): frozen PASE beats random weights by 1\d", across
    )
    assert "(twin): frozen PASE beats handcrafted features by" in other
    assert re.match(
        r"better: \S.* frozen PASE beats random weights by 1\d\.\d points \[\d+\.\d, \d+\.\d\].*; 10 trials of one "
        r"pre-training seed, 90 test clips\. \(effect \d+\.\d\d standard deviations\)",
        sentences[0],
    )
    effects = [float(text) for text in re.findall(r"effect (\S+) standard", " ".join(sentences))]
    assert effects == sorted(effects, reverse=True)
    assert len(effects) > 1


def without_sizes(sentences: list[str]) -> list[str]:
    return [re.split(r" by \d|: \W?\d", sentence)[0] for sentence in sentences]


def test_every_pair_of_methods_is_answered_also_where_no_difference_was_shown(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for dataset in ("openmic", "fma_small"):
        for encoder, values in (
            ("pase", [0.50, 0.51, 0.52, 0.53]),
            ("random", [0.30, 0.32, 0.31, 0.33]),
            ("handcrafted", [0.53, 0.49, 0.50, 0.55]),
        ):
            results.add(factors(encoder, "frozen", dataset), values)
    better, not_shown, *single = without_sizes(findings(overview(results)))
    mean = "Mean over OpenMIC and FMA small (twin)"
    assert better == f"better: {mean}: frozen PASE beats random weights"
    assert not_shown.endswith(f"{mean}: no difference shown between frozen PASE and handcrafted features")
    assert sorted(single) == [
        f"better: {dataset} (twin): frozen PASE beats random weights" for dataset in ("FMA small", "OpenMIC")
    ]


def test_no_difference_shown_is_said_in_words_once_for_each_pair_and_counted(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for dataset in ("openmic", "fma_small"):
        for encoder, values in (
            ("pase", [0.5, 0.6, 0.4]),
            ("random", [0.6, 0.5, 0.4]),
            ("handcrafted", [0.4, 0.5, 0.7]),
        ):
            results.add(factors(encoder, "frozen", dataset), values)
    page = overview(results)
    begin = "no difference shown: Mean over OpenMIC and FMA small (twin): no difference shown between frozen PASE and"
    assert sorted(without_sizes(findings(page))) == [f"{begin} handcrafted features", f"{begin} random weights"]
    assert "All 4 comparisons: no difference shown." in words(page)


def test_studies_are_answered_by_system_and_those_without_a_comparison_are_listed(tmp_path: Path) -> None:
    results = full(tmp_path)
    study = results.manifest["studies"].pop("fig2")
    names = ("wu2021_fig2", "spijkervet2021_table6_1", "own", "spijkervet2021_fig6_1")
    results.manifest["studies"] = {name: copy.deepcopy(study) | {"title": f"Study {name}"} for name in names}
    results.manifest["studies"]["spijkervet2021_fig6_1"]["comparisons"] = []
    page = overview(results)
    headings = re.findall(r"<h[34][^>]*>(.*?)</h[34]>", page.partition("What was found")[2])
    assert [words(heading).strip() for heading in headings][:6] == [
        *("System A: Wu et al. 2021", "Study wu2021_fig2"),
        *("System B: Spijkervet 2021", "Study spijkervet2021_table6_1"),
        *("Across systems", "Study own"),
    ]
    assert "1 study shows tables and figures without a test Study spijkervet2021_fig6_1" in words(page)


def test_with_many_studies_each_has_one_sentence_and_the_count_of_all(tmp_path: Path) -> None:
    results = full(tmp_path, count=3)
    study = results.manifest["studies"]["fig2"]
    results.manifest["studies"] |= {f"study{number}": copy.deepcopy(study) for number in range(11)}
    page = overview(results)
    assert len(findings(page)) == 12
    assert len(re.findall(r"(?:Of|All) 4 comparisons: ", words(page))) == 12


def test_nothing_measured_is_a_page_that_says_so(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.expect(factors("pase", "frozen", "openmic"))
    results.manifest["studies"]["fig2"]["comparisons"] = []
    page = overview(results)
    assert facts(page)["Data"] == "nothing measured yet"
    assert "No study of this run declares a comparison" in words(page)


def test_hostile_titles_and_questions_are_text(tmp_path: Path) -> None:
    results = full(tmp_path, datasets=["openmic"], count=3)
    for name in ("title", "question"):
        results.manifest["studies"]["fig2"][name] = f"{STUDY[name]} <script>alert(1)</script> \" onload='x'"
    page = overview(results)
    assert "<script>alert" not in page
    assert "<script>alert(1)</script> \" onload='x'" in words(page)
