"""Saving is all or nothing, and a damaged artifact is told apart from a missing one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tabtext.artifacts import FORMAT_VERSION, read_config, read_weights, write_artifact
from tabtext.errors import ArtifactError, DataError, MissingFileError, SaveError

WEIGHTS = {"weight": torch.arange(6.0).reshape(2, 3)}


def save(directory: Path, note: str = "first") -> None:
    with write_artifact(directory, {"note": note}, WEIGHTS):
        pass


def test_config_and_weights_come_back_as_they_were(tmp_path: Path) -> None:
    save(tmp_path / "model")
    assert read_config(tmp_path / "model")["note"] == "first"
    assert torch.equal(read_weights(tmp_path / "model")["weight"], WEIGHTS["weight"])


def test_a_transposed_tensor_keeps_its_values(tmp_path: Path) -> None:
    with write_artifact(tmp_path / "model", {}, {"weight": WEIGHTS["weight"].T}):
        pass
    assert torch.equal(read_weights(tmp_path / "model")["weight"], WEIGHTS["weight"].T)


def test_saving_again_replaces_the_artifact_and_leaves_no_sibling(tmp_path: Path) -> None:
    save(tmp_path / "model")
    save(tmp_path / "model", note="second")
    assert read_config(tmp_path / "model")["note"] == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_error_inside_the_block_leaves_the_previous_artifact(tmp_path: Path) -> None:
    save(tmp_path / "model")
    with pytest.raises(RuntimeError), write_artifact(tmp_path / "model", {}, WEIGHTS):
        raise RuntimeError("the preprocessor could not be written")
    assert read_config(tmp_path / "model")["note"] == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_other_files_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SaveError, match="holds other files"):
        save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("content", ['{"model_type": "bert"}', "[]", "{"])
def test_a_directory_with_the_config_of_something_else_is_not_replaced(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / "config.json").write_text(content)
    (tmp_path / "pytorch_model.bin").write_text("weeks of training")
    with pytest.raises(SaveError, match="holds other files"):
        save(tmp_path)
    assert (tmp_path / "pytorch_model.bin").read_text() == "weeks of training"


def test_a_repository_is_not_replaced(tmp_path: Path) -> None:
    save(tmp_path / "model")
    (tmp_path / "model" / ".git").mkdir()
    with pytest.raises(SaveError, match="is a Git repository"):
        save(tmp_path / "model", note="second")
    assert read_config(tmp_path / "model")["note"] == "first"


@pytest.mark.parametrize("name", ["x" * 300, "x" * 250, "a\0b"], ids=["long", "near", "zero"])
def test_a_name_that_no_directory_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SaveError, match="cannot write"):
        save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("a file")
    with pytest.raises(SaveError, match="is a file"):
        save(tmp_path / "model")


def test_a_full_disk_leaves_the_previous_artifact_whole(tmp_path: Path) -> None:
    """A file-size limit stands in for the disk: the write of the weights fails half-way."""
    save(tmp_path / "model")
    script = f"""
import resource, torch
from pathlib import Path
from tabtext.artifacts import write_artifact
from tabtext.errors import SaveError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with write_artifact(Path({str(tmp_path / "model")!r}), {{}}, {{"w": torch.zeros(100_000)}}):
        pass
except SaveError as error:
    print("SaveError:", error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "SaveError: the model was not saved to" in done.stdout
    assert read_config(tmp_path / "model")["note"] == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_missing_artifact_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no saved model at .*config\.json is missing"):
        read_config(tmp_path)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    save(tmp_path / "model")
    (tmp_path / "model" / "weights.safetensors").unlink()
    with pytest.raises(MissingFileError, match=r"weights\.safetensors is missing"):
        read_weights(tmp_path / "model")


@pytest.mark.parametrize("keep", [0, 4, 20, 90])
def test_truncated_weights_are_damaged(tmp_path: Path, keep: int) -> None:
    save(tmp_path / "model")
    path = tmp_path / "model" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match="damaged or truncated"):
        read_weights(tmp_path / "model")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format_version": "one"}'])
def test_a_damaged_config_is_told(tmp_path: Path, content: str) -> None:
    save(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(content)
    with pytest.raises(ArtifactError):
        read_config(tmp_path / "model")


def test_a_newer_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    save(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    newer = {**json.loads(path.read_text()), "format_version": FORMAT_VERSION + 1}
    path.write_text(json.dumps(newer))
    with pytest.raises(ArtifactError, match="Upgrade with: pip install"):
        read_config(tmp_path / "model")


def test_a_packed_artifact_is_smaller_and_says_how_it_is_packed(tmp_path: Path) -> None:
    weights = {"matrix": torch.randn(200, 100), "bias": torch.randn(100)}
    for name in ("plain", "packed"):
        with write_artifact(tmp_path / name, {}, weights, packed=name == "packed"):
            pass

    plain, packed = (read_weights(tmp_path / name) for name in ("plain", "packed"))

    sizes = [(tmp_path / n / "weights.safetensors").stat().st_size for n in ("plain", "packed")]
    assert sizes[1] < 0.3 * sizes[0]
    assert read_config(tmp_path / "packed")["packing"] == "int8_rows"
    torch.testing.assert_close(packed["matrix"], plain["matrix"], rtol=0, atol=0.03)
    assert packed["matrix"].dtype == torch.float32
    assert torch.equal(packed["bias"], weights["bias"])


def test_only_packed_artifacts_need_a_version_that_can_read_them(tmp_path: Path) -> None:
    with write_artifact(tmp_path / "packed", {}, WEIGHTS, packed=True):
        pass
    save(tmp_path / "plain")

    assert read_config(tmp_path / "plain")["format_version"] == 1
    assert "packing" not in read_config(tmp_path / "plain")
    assert read_config(tmp_path / "packed")["format_version"] == 2


def test_an_unknown_packing_asks_for_an_upgrade(tmp_path: Path) -> None:
    with write_artifact(tmp_path / "model", {}, WEIGHTS, packed=True):
        pass
    config = {**read_config(tmp_path / "model"), "packing": "int4_blocks"}

    with pytest.raises(ArtifactError, match=r"'int4_blocks'; .*Upgrade with: pip install"):
        read_weights(tmp_path / "model", config)


def test_weights_that_cannot_be_packed_leave_the_previous_artifact(tmp_path: Path) -> None:
    save(tmp_path / "model")
    with (
        pytest.raises(DataError, match="'w' holds NaN"),
        write_artifact(tmp_path / "model", {}, {"w": torch.full((64, 64), torch.nan)}, packed=True),
    ):
        pass

    assert read_config(tmp_path / "model")["note"] == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
