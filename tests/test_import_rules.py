"""The import rules of CONTRIBUTING.md, read from the source, and the cost of ``import tabtext``."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tabtext"
MODULES = sorted(PACKAGE.rglob("*.py"))

# What shows models to people, and is imported by none of the parts below.
SHOWS = {"cli", "demo", "plots", "reports"}
# What works with estimators, and is imported by none of them.
USES = {"tuning", *SHOWS}
# Package or module -> parts of tabtext that it must not import.
FORBIDDEN = {
    "errors": {"*"},
    "progress": {"*"},
    "model_card": {"*"},
    "dropout": {"tables", "tabular", "text", "training", "estimators", "datasets", *USES},
    "tables": {"tabular", "text", "training", "estimators", "datasets", *USES},
    "tabular": {"training", "text", "mixed", "estimators", "export", *USES},
    "text": {"training", "tabular", "mixed", "estimators", "export", *USES},
    "training": {"tabular", "text", "mixed", "estimators", "export", *USES},
    "export": {"estimators", "datasets", *USES},
    "mixed": {"training", "estimators", "export", "datasets", *USES},
    "estimators": USES,
    "tuning": SHOWS,
    "plots": {"cli", "demo", "reports"},
    "reports": {"cli", "demo"},
}
HEAVY = ("spacy", "numba", "matplotlib", "torch", "sklearn", "pandas", "optuna")


def imported_names(path: Path) -> set[str]:
    """Full names of all modules that a file imports, at any depth of its code."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            module = str(node.module)
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def part_of(path: Path) -> str:
    """``tabular`` for tabtext/tabular/models.py, ``errors`` for tabtext/errors.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_import_only_what_their_place_allows(path: Path) -> None:
    parts = {name.split(".")[1] for name in imported_names(path) if name.startswith("tabtext.")}
    forbidden = FORBIDDEN.get(part_of(path), set())
    others = parts - {"__version__", part_of(path)}
    broken = others if "*" in forbidden else parts & forbidden
    assert not broken, f"{path.relative_to(PACKAGE)} must not import {sorted(broken)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_numba_is_imported_only_by_kernels(path: Path) -> None:
    uses_numba = any(name.split(".")[0] == "numba" for name in imported_names(path))
    assert not uses_numba or "kernels" in path.relative_to(PACKAGE).parts


@pytest.mark.parametrize("module", ["tabtext", "tabtext.cli", "tabtext.errors"])
def test_importing_stays_cheap(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"


def test_estimators_load_what_only_some_of_them_need_on_first_use() -> None:
    modules = ("spacy", "tokenizers", "matplotlib", "tensorboard", "mlflow", "optuna")
    code = (
        "import sys, tabtext; tabtext.TextClassifier, tabtext.LanguageModel, tabtext.tune;"
        "tabtext.TabTextRegressor;"
        f"print([name for name in {modules!r} if name in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"


TRAINING = {
    *("averaging", "batch_norm", "checkpoint", "checkpoint_files", "compilation", "loggers"),
    *("lr_finder", "measurements", "micro_batches", "nonfinite", "optimizers", "plan", "precision"),
    *("progress", "run", "streaming", "trainer"),
}
"""Modules of ``tabtext.training`` that a fitted model does without."""


def test_a_saved_tabular_model_predicts_without_what_trains_models(tmp_path: Path) -> None:
    from tabtext import TabularClassifier

    row = {"State": ["HE", "BY"] * 10, "Sales": [*range(20)]}
    TabularClassifier(epochs=1, verbose=0).fit(row, [True, False] * 10).save(tmp_path / "model")
    names = {f"tabtext.training.{module}" for module in TRAINING}
    names |= {"tabtext.tuning", "tabtext.text.tokenization", "tabtext.tabular.outliers"}
    names |= {"tabtext.estimators.network_training", "tabtext.export"}
    names |= {"spacy", "thinc", "matplotlib", "optuna", "onnx", "rich", "torch._dynamo"}
    code = (
        f"import sys, tabtext; model = tabtext.load({str(tmp_path / 'model')!r});"
        "model.predict({'State': 'HE', 'Sales': 3});"
        f"print(sorted({names!r}.intersection(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"


def test_public_names_are_listed_and_importable() -> None:
    import tabtext

    missing = [name for name in tabtext.__all__ if not hasattr(tabtext, name)]
    assert missing == []
