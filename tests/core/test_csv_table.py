"""Tables as spreadsheets and editors write them are read, or end in one line that says what to change."""

import pytest

from workflow_scripts.core.csv_table import read_csv_table
from workflow_scripts.core.errors import UserError

TEXT = "path,labels\nKätzchen/Übung „1“.wav,Schöne Musik\nb.wav,rock\n"
ROWS = [["Kätzchen/Übung „1“.wav", "Schöne Musik"], ["b.wav", "rock"]]


def read(tmp_path, content):
    path = tmp_path / "labels.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_csv_table(path, columns=("path", "labels"))


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_spreadsheets_save_is_read(tmp_path, encoding, delimiter, end):
    content = TEXT.replace(",", delimiter).replace("\n", end).encode(encoding)
    assert read(tmp_path, content).rows == ROWS


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\npath;labels\nb.wav;rock\n",
        "sep=|\r\npath|labels\r\nb.wav|rock\r\n",
        " path , labels \nb.wav, rock\n",
        "\ufeff\n\npath,labels\n\nb.wav,rock\n,\n",
        "path,labels,,\nb.wav,rock,,\n,,,\n",
        "path,labels,note\nb.wav,rock\n",
        '"path","labels"\n"b.wav","rock"',
        'path;labels;note\nb.wav;rock;"a long\nnote, with ; and ""quotes"""\n',
        'labels,path\n"rock",b.wav\n',
        "Path;LABELS;a,b\nb.wav;rock;\n",
    ],
)
def test_spaces_quotes_empty_fields_and_lines_do_not_matter(tmp_path, content):
    table = read(tmp_path, content)
    assert [text.strip() for name in ("path", "labels ") for text in table.column(name, option="")] == ["b.wav", "rock"]
    assert not table.has_column("split")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty: its first line must name the columns path, labels"),
        ("\n,,\n", "is empty"),
        ("path,labels\na.wav,rock,loud\n", "line 2: 3 fields, but 2 columns"),
        ('path,labels\na.wav,"rock\nb.wav,pop\n', "line 2: a quote is not closed: close it"),
        ('sep=,\npath,labels\n\nb.wav,pop\na.wav,"rock', "line 5: a quote is not closed: close it"),
        ('path,labels\na.wav,"rock\n' + "b.wav,pop\n" * 20_000, "line 2: a quote is not closed"),
        ('path,labels\n"a" b.wav,rock\n', "line 2: text after a closing quote: put the whole field"),
        ('path,labels\n"a.wav,rock\nb".wav,pop\n', "line 2: a quote is not closed"),
        ('path,labels\na.wav,"rock\nb.wav,pop"\n', "line 3: labels spans several lines"),
        ("path,path,labels\na,b,c\n", "two columns path"),
        ("path,Labels,labels\na,b,c\n", r"two columns labels \(Labels, labels\): rename one"),
        ("file,labels\na.wav,rock\n", r"no column path \(path_column\): name it .*; its columns are 'file, labels'$"),
        ("x" * 200_000 + ",y\n", r"cannot be read as a csv \(line 1: field larger"),
        ("x" * 90_000 + ",y\n", r"no column path .*; its columns are 'x+…x+, y'"),
        (b"path,labels\n\x81\x8d.wav,rock\n", "no text in UTF-8, UTF-16 or Windows-1252: save it as UTF-8"),
        (b"path,labels\na\0b.wav,rock\n", "no text"),
        (b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(range(256)), "no text"),
        (b"\xff\xfep\0a\0t", "no text"),
        (
            "path,labels\na.wav,J\u00f3zef\nb.wav,\u0416\n".encode() + b"c.wav,Caf\xe9\n",
            "line 4: a letter is not UTF-8, as the",
        ),
    ],
)
def test_what_is_no_csv_is_one_line_with_a_remedy(tmp_path, content, message):
    with pytest.raises(UserError, match=message) as error:
        [read(tmp_path, content).column(name, option=f"{name}_column") for name in ("path", "labels")]
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_a_huge_file_is_refused_before_it_is_read_whole(tmp_path):
    with (tmp_path / "labels.csv").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UserError, match="more than 64 MB"):
        read_csv_table(tmp_path / "labels.csv", columns=("path",))
