from pathlib import Path

import numpy as np
import pytest
from matplotlib.axis import Axis, Tick
from matplotlib.figure import Figure
from matplotlib.text import Text

from tests.report.made import table
from tests.results import Results, factors, full
from workflow_scripts.errors import UserError
from workflow_scripts.report import figures


@pytest.fixture(scope="module")
def figure(tmp_path_factory: pytest.TempPathFactory) -> Figure:
    results = full(tmp_path_factory.mktemp("results"), datasets=("openmic", "extended_ballroom", "fma_small"))
    Path(results.plan["evaluations"][2]["path"]).unlink()
    return figures.draw(table(results), kind="dots")


def shown(figure: Figure) -> list[Text]:
    """Texts a reader sees, laid out."""
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_visible()]
    unseen = {tick.label1 for panel in figure.axes for tick in beyond_the_view(panel.xaxis)}
    return [text for text in texts if text.get_text().strip() and text not in unseen]


def beyond_the_view(axis: Axis) -> list[Tick]:
    """Ticks that matplotlib keeps and does not draw."""
    low, high = axis.get_view_interval()
    return [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]


def test_no_text_lies_on_another_or_outside(figure: Figure) -> None:
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in shown(figure)]
    for number, (text, box) in enumerate(boxes):
        assert box.x0 >= -1 and box.y0 >= -1, text  # noqa: PT018
        assert box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1, text  # noqa: PT018
        for other, other_box in boxes[number + 1 :]:
            assert not box.overlaps(other_box), f"{text!r} lies on {other!r}"


def test_it_says_what_is_measured_on_what(figure: Figure) -> None:
    texts = [text.get_text() for text in shown(figure)]
    assert texts.count("macro F1 (%)") == 3
    assert "OpenMIC (twin)\n90 test clips" in texts
    assert "not run" in texts
    assert {"PASE, frozen", "PASE, fine-tuned", "PASE, supervised", "random weights, frozen (floor)"} <= set(texts)
    assert any("not comparable with published numbers" in text for text in texts)


def test_lines_differ_without_colour(figure: Figure) -> None:
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2 and line.get_linestyle() != "None"]
    dashes = [str(line._unscaled_dash_pattern) for line in lines if line.get_xdata()[0] == line.get_xdata()[1]]  # type: ignore[attr-defined]
    assert len(dashes) == len(set(dashes)) == 3


def test_long_names_and_many_methods_find_room(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.plan["studies"]["fig2"] |= {
        "rows": ["workers", "scenario"],
        "comparisons": [],
        "title": "A title far too long for the one panel that this figure has, so it must be broken",
    }
    for number, workers in enumerate(["W", "WL", "WLP", "WLPMCT", "contrastive_and_everything_else"]):
        results.add(factors("pase", "frozen", "openmic", workers=workers), 0.3 + number / 50 + np.arange(3) / 100)
    results.add(factors("random", "frozen", "openmic"), [0.3, 0.31, 0.32])
    test_no_text_lies_on_another_or_outside(figures.draw(table(results), kind="dots"))


def test_a_study_without_any_result_still_has_a_figure(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for encoder in ("pase", "random"):
        results.expect(factors(encoder, "frozen", "openmic"))
    made = figures.draw(table(results), kind="dots")
    assert "OpenMIC\nnothing measured" in [text.get_text() for text in shown(made)]


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown figure 'pie'; allowed: dots"):
        figures.draw(table(full(tmp_path, datasets=["openmic"])), kind="pie")


def test_the_description_holds_every_number(tmp_path: Path) -> None:
    made = table(full(tmp_path))
    said = figures.describe(made)
    assert "OpenMIC (twin): PASE, supervised 4" in said
    assert said.count("random weights") == 2
