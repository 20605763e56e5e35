"""Files and folders of texts."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabtext.errors import (
    DataError,
    FileFormatError,
    MissingFileError,
    ParameterError,
    TabTextWarning,
)
from tabtext.tables import write_table
from tabtext.text.files import lines_of, read_labelled_folder, read_text_file
from tabtext.text.reading import read_texts

INVALID = b"good\ncaf\xe9 au lait\n"
SEVERAL_LINES = 'Said "no".\r\nThen, nothing.'


# -- one file --------------------------------------------------------------------------------------


def test_csv_texts_keep_their_line_breaks_quotes_and_commas(tmp_path: Path) -> None:
    # Longer than the blocks in which Arrow looks for the ends of rows.
    texts = [SEVERAL_LINES * 1000, "plain"] * 100
    write_table(pa.table({"text": texts}), tmp_path / "reviews.csv")

    assert read_text_file(tmp_path / "reviews.csv").to_pydict() == {"text": texts}


def test_csv_fields_that_are_empty_are_missing_and_quoted_ones_are_texts(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text('text,stars\n,1\n"",2\nNA,3\n"NA",NA\n')

    table = read_text_file(tmp_path / "reviews.csv")

    assert table.to_pydict() == {"text": [None, "", None, "NA"], "stars": [1, 2, 3, None]}


def test_jsonl_texts_that_look_like_dates_are_texts_if_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    path.write_text('{"text": "2001-05-20"}\n{"text": null}\n', encoding="utf-8")

    table = read_text_file(path, columns=["text"])

    assert table.to_pydict() == {"text": ["2001-05-20", None]}


def test_jsonl_escapes_are_undone(tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    path.write_text(r'{"text": "a\nb \u00e9 \ud83d\udc4d"}')

    assert read_text_file(path)["text"].to_pylist() == ["a\nb é 👍"]


def test_a_txt_file_holds_a_text_per_line(tmp_path: Path) -> None:
    (tmp_path / "reviews.txt").write_bytes("one\r\n\r\nthree é\nfour".encode())

    table = read_text_file(tmp_path / "reviews.txt")

    assert table.to_pydict() == {"text": ["one", "", "three é", "four"]}
    assert table.schema.types == [pa.large_string()]


@given(lines=st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"))))
def test_lines_come_back_as_they_were_joined(lines: list[str]) -> None:
    content = "".join(f"{line}\n" for line in lines).encode()

    assert lines_of(pa.py_buffer(content)).to_pylist() == lines


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".jsonl"])
def test_a_byte_order_mark_is_no_text(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"reviews{suffix}"
    content = {".csv": "text\ngood\n", ".txt": "good\n", ".jsonl": '{"text": "good"}\n'}[suffix]
    path.write_text(content, encoding="utf-8-sig")

    assert read_text_file(path).to_pydict() == {"text": ["good"]}


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".jsonl"])
def test_what_is_no_utf8_is_refused_with_file_and_position_or_replaced(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"reviews{suffix}"
    before, after = {
        ".csv": (b"text\n", b""),
        ".txt": (b"", b""),
        ".jsonl": (b'{"text": "', b'"}\n'),
    }[suffix]
    invalid = INVALID.replace(b"\n", b" ").strip()
    path.write_bytes(before + invalid + after)
    position = len(before) + invalid.index(b"\xe9")

    with pytest.raises(
        FileFormatError,
        match=rf"reviews\{suffix} is not UTF-8: byte 0xe9 at position {position}\..*replace",
    ):
        read_text_file(path)
    replaced = read_text_file(path, errors="replace")
    assert replaced["text"].to_pylist() == ["good caf� au lait"]


def test_utf16_is_not_mistaken_for_text(tmp_path: Path) -> None:
    (tmp_path / "reviews.txt").write_text("good", encoding="utf-16")

    with pytest.raises(FileFormatError, match="byte 0xff at position 0"):
        read_text_file(tmp_path / "reviews.txt")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("reviews.csv", "", "not a readable CSV file"),
        ("reviews.csv", "a,b\n1,2,3\n", "not a readable CSV file"),
        ("reviews.jsonl", "", "not readable as JSONL"),
        ("reviews.jsonl", '[{"text": "a"}]', "not readable as JSONL"),
        ("reviews.jsonl", '{"text": "a"', "not readable as JSONL"),
        ("reviews.parquet", "text", "not a readable PARQUET file"),
        ("reviews.docx", "text", r"texts are read from \.csv, \.parquet, \.jsonl, \.txt files"),
    ],
)
def test_content_that_is_something_else_is_named(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)

    with pytest.raises(FileFormatError, match=f"{name}.* {message}|{name}: {message}"):
        read_text_file(tmp_path / name)


def test_an_empty_txt_file_holds_no_texts(tmp_path: Path) -> None:
    (tmp_path / "reviews.txt").touch()

    assert read_text_file(tmp_path / "reviews.txt").to_pydict() == {"text": []}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.csv"):
        read_text_file(tmp_path / "none.csv")


# -- folders ---------------------------------------------------------------------------------------


def fill(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def test_subfolders_are_labels_and_the_order_is_fixed(tmp_path: Path) -> None:
    fill(
        tmp_path,
        {
            "pos/b.txt": "B",
            "pos/a.txt": "A\nsecond line",
            "neg/z.txt": "Z",
            "neg/.hidden.txt": "no",
            "neg/notes.md": "no",
            ".git/x.txt": "no",
            "README.md": "no",
        },
    )

    with pytest.warns(TabTextWarning, match=r"2 files below .* are left aside; 3 are read"):
        table = read_labelled_folder(tmp_path)

    assert table.to_pydict() == {
        "text": ["Z", "A\nsecond line", "B"],
        "label": ["neg", "pos", "pos"],
        "file": ["neg/z.txt", "pos/a.txt", "pos/b.txt"],
    }


def test_texts_in_deeper_folders_are_left_aside_with_their_number(tmp_path: Path) -> None:
    fill(tmp_path, {"pos/a.txt": "A", "neg/b.TXT": "B", "pos/more/c.txt": "C", "x/y/z.txt": "D"})
    (tmp_path / "x" / "d.txt").write_text("E")

    with pytest.warns(TabTextWarning, match=r"2 files below .* are left aside; 3 are read"):
        table = read_labelled_folder(tmp_path)

    assert table["text"].to_pylist() == ["B", "A", "E"]


def test_unsup_is_no_class(tmp_path: Path) -> None:
    fill(tmp_path, {"pos/a.txt": "A", "neg/b.txt": "B", "unsup/c.txt": "C", "unsup/d.txt": "D"})

    table = read_labelled_folder(tmp_path)

    assert table["text"].to_pylist() == ["B", "A", "C", "D"]
    assert table["label"].to_pylist() == ["neg", "pos", None, None]


@pytest.mark.parametrize("read", [read_text_file, read_texts])
def test_two_columns_of_one_name_are_refused(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    (tmp_path / "dup.csv").write_text("text,stars,text\ngood,5,bad\n")

    with pytest.raises(DataError, match=r"dup\.csv has 2 columns called 'text'; rename"):
        read(tmp_path / "dup.csv")


def test_a_plain_folder_has_no_labels(tmp_path: Path) -> None:
    fill(tmp_path, {"b.txt": "B", "a.txt": ""})

    assert read_text_file(tmp_path).to_pydict() == {"text": ["", "B"], "file": ["a.txt", "b.txt"]}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({}, r"holds no \.txt files, nor folders of them"),
        ({"a.md": "no"}, r"holds no \.txt files"),
        ({"pos/a.txt": "A", "neg/a.md": "no"}, r"neg holds no \.txt files; remove or fill it"),
        ({"pos/a.txt": "A", "a.txt": "A"}, "holds text files and folders of text files"),
    ],
)
def test_a_folder_that_could_mean_anything_is_refused(
    tmp_path: Path, texts: dict[str, str], message: str
) -> None:
    fill(tmp_path, texts)

    with pytest.raises(FileFormatError, match=message):
        read_labelled_folder(tmp_path)


def test_the_file_in_a_folder_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    fill(tmp_path, {"pos/a.txt": "A", "pos/b.txt": ""})
    (tmp_path / "pos" / "b.txt").write_bytes(INVALID)

    with pytest.raises(FileFormatError, match=r"pos/b\.txt is not UTF-8: .* at position 8"):
        read_labelled_folder(tmp_path)
    replaced = read_labelled_folder(tmp_path, errors="replace")
    assert replaced["text"].to_pylist() == ["A", "good\ncaf� au lait\n"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such folder"):
        read_labelled_folder(tmp_path / "none")


def test_another_treatment_of_errors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="errors='ignore' is not one of strict, replace"):
        read_text_file(tmp_path, errors="ignore")  # type: ignore[arg-type]  # the mistake
