"""Files that are whole or absent."""

from pathlib import Path

import pytest

from tabtext.errors import ArtifactError, MissingFileError, SaveError
from tabtext.text.storage import read_json, whole_file, write_json


def write_half(path: Path) -> None:
    with whole_file(path) as temporary:
        temporary.write_text("half of")
        raise ZeroDivisionError


def test_a_file_that_was_not_finished_is_not_there_and_an_older_one_is_as_it_was(
    tmp_path: Path,
) -> None:
    path = tmp_path / "notes.txt"
    for before in (None, "older"):
        if before is not None:
            path.write_text(before)
        with pytest.raises(ZeroDivisionError):
            write_half(path)
        assert [file.name for file in tmp_path.iterdir()] == (["notes.txt"] if before else [])
        assert not before or path.read_text() == before


def test_what_a_killed_process_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".notes.txt.partial").write_text("much longer than what comes now")

    with whole_file(tmp_path / "notes.txt") as temporary:
        temporary.write_text("all")

    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]
    assert (tmp_path / "notes.txt").read_text() == "all"


@pytest.mark.parametrize("place", ["file/notes.txt", "folder"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "inside").mkdir(parents=True)

    with pytest.raises(SaveError, match=f"{place} was not written"):
        write_json(tmp_path / place, {"format_version": 1})


def test_json_comes_back(tmp_path: Path) -> None:
    content = {"format_version": 1, "tokens": ["é", "\u2028", "\x00", "👍"]}
    write_json(tmp_path / "some.json", content)

    assert read_json(tmp_path / "some.json", "thing") == content


def test_what_is_missing_damaged_or_newer_is_named(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    with pytest.raises(MissingFileError, match=r"some\.json is missing; .* the thing was saved"):
        read_json(path, "thing")
    path.write_text("{")
    with pytest.raises(ArtifactError, match=r"some\.json is no thing or is damaged"):
        read_json(path, "thing")
    write_json(path, {"format_version": 3})
    with pytest.raises(ArtifactError, match=r"format 3, newer than .* reads \(2\)"):
        read_json(path, "thing", newest=2)
