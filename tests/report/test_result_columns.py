"""The documentation of result columns is generated, whole and in step."""

from __future__ import annotations

from workflow_scripts.report import result_columns


def test_every_column_of_every_file_has_a_meaning_and_no_other_has() -> None:
    files = [*result_columns.columns_of_files().values(), *result_columns.columns_of_figures().values()]
    columns = {column for columns in files for column in columns}
    assert columns == set(result_columns.MEANINGS)


def test_the_page_is_in_step_with_the_columns() -> None:
    assert result_columns.PAGE.read_text(encoding="utf-8") == result_columns.render_page(), (
        f"run: {result_columns.COMMAND}"
    )
