"""The listening page in a real browser, from `file://`: load, sort, search, play, notes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.browser import open_page as open_file
from tests.browser import run_browser
from workflow_scripts.report.listening_page import HeadScores, ListeningSet, Row, write_page
from workflow_scripts.synthesis.encode import encode_audio

pytest.importorskip("itables", reason="needs itables")
CLIPS, FILTERS, TAGS = 5329, 512, 50  # the test split of MagnaTagATune, SampleCNN's last layer, the thesis's tags
SORT_SECONDS = 1.0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with run_browser() as running:
        yield running


def write(folder: Path, *, clips: int = CLIPS, filters: int = FILTERS, names: tuple[str, ...] = ("music",)) -> Path:
    """Write a page; clip 7 is the loudest of filter 3, has an odd name, and its audio is a second of a tone."""
    rng = np.random.default_rng(0)
    (folder / "audio").mkdir(parents=True)
    tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000).astype(np.float32) / 4
    (folder / "audio" / "7.ogg").write_bytes(encode_audio(tone, sample_rate=8000, suffix=".ogg"))
    sets = []
    for name in names:
        activations = np.abs(rng.normal(0, 1, (clips, filters))).astype(np.float32)
        activations[7 % clips, 3] = 99
        classes = (*(f"tag{number}" for number in range(TAGS - 1)), "<b>harp & 'lute'</b>")
        rows = [
            Row(
                clip=f"clip{row}" if row != 7 else '</script><img src=x onerror="document.title=1">',
                group=f"song{row // 5}",
                segment=0,
                labels=(row % 5, TAGS - 1) if row % 7 == 0 else (),
                audio="audio/7.ogg" if row == 7 else "",
            )
            for row in range(clips)
        ]
        scores = rng.random((clips, TAGS)).astype(np.float32)
        heads = [HeadScores(label="Music", classes=classes, scores=scores)]
        sets.append(
            ListeningSet(
                name=name, label=name.title(), classes=classes, rows=rows, activations=activations, heads=heads
            )
        )
    write_page(folder, sets, study="fig7_7", title="CLMR <Listening>", encoder="SampleCNN", notes=["No audio of x."])
    return folder / "index.html"


def open_page(browser: Any, path: Path) -> Any:
    page = open_file(browser, path)
    page.wait_for_selector("#clips tbody tr")
    return page


def column(page: Any, number: int) -> list[str]:
    return page.locator(f"#clips tbody tr td:nth-child({number})").all_inner_texts()


def thread_seconds(session: Any) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(metric["value"] for metric in metrics if metric["name"] == "ThreadTime"))


@pytest.fixture(scope="module")
def whole(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A page as large as that of MagnaTagATune."""
    return open_page(browser, write(tmp_path_factory.mktemp("page")))


def test_it_loads_whole_and_sorts_every_column_of_562_in_under_a_second(whole: Any) -> None:
    whole.fill("#features", f"0-{FILTERS - 1}")
    whole.evaluate("document.querySelectorAll('#tags input').forEach((input) => { input.checked = true; })")
    whole.click("button[type=submit]")
    assert whole.locator("#clips thead th").count() >= FILTERS + TAGS
    # seconds of the page's own thread, since other programs may take the processor
    session = whole.context.new_cdp_session(whole)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    seconds = []
    for column_number in (3, 300, 560):
        before = thread_seconds(session)
        whole.evaluate("(number) => { window.listening.table.order([number, 'desc']).draw(); }", column_number)
        seconds.append(thread_seconds(session) - before)
    assert max(seconds) < SORT_SECONDS, seconds
    assert whole.problems == []


def test_rows_are_sorted_by_the_first_chosen_filter_and_by_a_click(whole: Any) -> None:
    whole.fill("#features", "3, 10-11")
    whole.evaluate("document.querySelectorAll('#tags input').forEach((input) => { input.checked = false; })")
    whole.click("button[type=submit]")
    values = [float(text) for text in column(whole, 1)]
    assert values[0] == 99
    assert values == sorted(values, reverse=True)
    whole.click("#clips thead th:has-text('idx')")
    whole.wait_for_function("document.querySelector('#clips tbody td:nth-child(4)').innerText === '0'")
    assert column(whole, 4) == [str(number) for number in range(10)]
    assert "5,329 rows of Music, 3 of 512 filters" in whole.inner_text("#state")
    whole.click("#clips thead th:has-text('11')")
    values = [float(text) for text in column(whole, 3)]
    assert values == sorted(values, reverse=True), "the first click shows what activates a filter most"
    assert values[0] > 2


def test_a_search_finds_labels_and_clips_and_shows_them_as_text(whole: Any) -> None:
    whole.fill("#clips_wrapper input[type=search]", "clip4321")
    assert column(whole, 6) == ["clip4321"]
    whole.fill("#clips_wrapper input[type=search]", "onerror")
    assert column(whole, 6) == ['</script><img src=x onerror="document.title=1">']
    assert column(whole, 9) == ["tag2, <b>harp & 'lute'</b>"]
    whole.fill("#clips_wrapper input[type=search]", "")
    assert whole.title() == "CLMR <Listening>"


def test_tags_of_the_head_become_columns(whole: Any) -> None:
    whole.check("#tags input[value='0 2']")
    whole.click("button[type=submit]")
    assert "tag2 (Music)" in whole.locator("#clips thead th").last.inner_text()
    shares = [float(text) for text in column(whole, 10)]
    assert all(0 <= share <= 1 for share in shares)


def test_a_wrong_filter_is_named_and_changes_nothing(whole: Any) -> None:
    before = whole.inner_text("#state")
    for text in ("512", "x", "5-2", "1;2", "-1"):
        whole.fill("#features", text)
        whole.click("button[type=submit]")
        assert "is no filter: give numbers from 0 to 511" in whole.inner_text("#problem")
    assert whole.inner_text("#state") == before


def test_a_row_plays_its_audio_and_says_where_there_is_none(browser: Any, tmp_path: Path) -> None:
    page = open_page(browser, write(tmp_path, clips=30, filters=8))
    page.fill("#features", "3")
    page.click("button[type=submit]")
    assert page.inner_text("#clips tbody tr:nth-child(2) td:nth-child(3)") == "not included"
    playing = page.evaluate(
        """async () => {
            const audio = document.querySelector("#clips audio");
            audio.muted = true;
            await audio.play();
            await new Promise((resolve) => setTimeout(resolve, 300));
            return [audio.duration, audio.currentTime];
        }"""
    )
    assert playing[0] == pytest.approx(1, abs=0.05)
    assert playing[1] > 0
    assert page.problems == []


def test_notes_of_filters_are_kept_and_downloaded_as_csv(browser: Any, tmp_path: Path) -> None:
    page = open_page(browser, write(tmp_path, clips=30, filters=20))
    page.fill("#features", "3, 12")
    page.click("button[type=submit]")
    page.fill("#notes textarea[data-filter='12']", 'slow, "soft"\nstrings')
    page.fill("#notes textarea[data-filter='3']", "=loud")
    with page.expect_download() as download:
        page.click("#download")
    download.value.save_as(tmp_path / "notes.csv")
    assert download.value.suggested_filename == "fig7_7_notes.csv"
    with (tmp_path / "notes.csv").open(newline="") as file:
        assert [*csv.reader(file)] == [
            ["study", "filter", "note"],
            ["fig7_7", "3", "'=loud"],
            ["fig7_7", "12", 'slow, "soft"\nstrings'],
        ]
    assert page.inner_text("#count") == "2 notes"
    page.fill("#features", "5")
    page.click("button[type=submit]")
    page.fill("#features", "12")
    page.click("button[type=submit]")
    assert page.input_value("#notes textarea") == 'slow, "soft"\nstrings'


def test_pages_of_the_same_study_in_other_results_have_notes_of_their_own(browser: Any, tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, clips=30, filters=8) for name in ("demo", "paper"))
    page = open_page(browser, first)
    page.fill("#notes textarea[data-filter='0']", "loud")
    for path, note in ((second, ""), (first, "loud")):
        page.goto(path.as_uri())
        page.wait_for_selector("#clips tbody tr")
        assert page.input_value("#notes textarea[data-filter='0']") == note


def test_another_data_set_is_chosen(browser: Any, tmp_path: Path) -> None:
    page = open_page(browser, write(tmp_path, clips=30, filters=8, names=("one", "two")))
    page.check("input[value=two]")
    page.click("button[type=submit]")
    assert "30 rows of Two" in page.inner_text("#state")


def test_the_page_names_no_address_of_the_network(tmp_path: Path) -> None:
    path = write(tmp_path, clips=3, filters=4)
    own = "".join((path.parent / name).read_text() for name in ("index.html", "listening.js", "listening.css"))
    assert "http" not in own
    assert (path.parent / "data_music.js").is_file()
