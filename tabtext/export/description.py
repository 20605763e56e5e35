"""What a server has to know beside the ONNX program, as values that JSON can hold.

``preprocessor.json`` has these entries:

``format_version``, ``tabtext_version``
    Of this description (1), and of the library that wrote it.
``estimator``, ``task``
    The class that was exported; ``"regression"``, ``"classification"`` or ``"multilabel"``.
``output``
    ``name`` of the program's output, float64 of shape (rows, columns); for quantities ``columns``,
    the targets; for probabilities ``classes`` of one target ``target``, or the ``labels``, each
    with the probability that it holds. Classes are predicted where they are the most probable, and
    labels where they are more probable than not.

Of tables:

``inputs``
    For each input of the program its ``dtype`` and ``columns``, the names in order.
``features``
    What stands in these columns, each with the ``source`` column of the table and, if that is a
    date, the ``part`` of it (see ``tabtext.tabular.dates``); in the order of the inputs.

    Categories: ``values`` are coded 2, 3, ... in this order; 1 is any other value, ``missing`` the
    code of none. ``kind`` is the type of the values: ``string``, ``int64``, ``double`` or ``bool``.

    Numbers: a missing or infinite one is ``fill``. Then ``(number - center) * factor``, cut to
    +-1e18; with ``clip`` > 0 a scaled ``x`` is ``x / sqrt(1 + (x / clip)**2)``. With ``references``
    it is interpolated between them instead, to ``normals``. With ``indicator`` a second column
    follows: 1 where the number was missing or infinite, else 0.

Of texts:

``inputs``
    The program's: ``tokens``, int64 (rows, longest), and ``lengths``, int64 (rows,).
``text_columns``
    The columns of text. A document is xxbos, the tokens of its text, xxeos; of several columns each
    begins with xxfld and its number, from 1 on.
``padding``
    The id behind a text that is shorter than the longest.
``tokenizer``
    The folder with ``preprocessor.json`` (rules and tokenizer) and ``vocabulary.json`` (the tokens;
    the id of each is its place; one that is not there is xxunk, 0).

Of tables that hold texts all of these; ``tokens`` are then (rows, text columns, longest) and
``lengths`` (rows, text columns). Each text is a document of its own, without xxfld; a missing one
has no token at all, and of one with more than ``max_tokens`` tokens the last of these is xxeos.
"""

from typing import Any

from tabtext import __version__
from tabtext.tabular.encoders import MISSING, UNSEEN, CategoricalEncoder, ContinuousEncoder
from tabtext.tabular.encoding import Encoded
from tabtext.tabular.preprocessing import TabularPreprocessor
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.special_tokens import PADDING_ID
from tabtext.training.targets import ClassificationTarget, MultilabelTarget, Target

__all__ = ["TOKENIZER", "described", "described_tables", "described_texts", "output_name"]

TOKENIZER = "tokenizer"

_FORMAT_VERSION = 1


def described(estimator: str, target: Target) -> dict[str, Any]:
    """Return what is said of every model."""
    return {
        "format_version": _FORMAT_VERSION,
        "tabtext_version": __version__,
        "estimator": estimator,
        "task": target.task,
        "output": {"name": output_name(target), **_meaning(target)},
    }


def output_name(target: Target) -> str:
    """Return what the program's output is called."""
    return "predictions" if target.task == "regression" else "probabilities"


def described_tables(preprocessor: TabularPreprocessor, example: Encoded) -> dict[str, Any]:
    """Return how the columns of a table are coded.

    Parameters
    ----------
    preprocessor : TabularPreprocessor
        Fitted.
    example : Encoded
        Any rows, for the dtypes.
    """
    parts = {f.name: {"source": f.source, "part": f.part} for f in preprocessor.features_}
    inputs = {
        "categorical": (example.categorical.dtype.name, preprocessor.categorical_names_),
        "continuous": (example.continuous.dtype.name, preprocessor.continuous_names_),
    }
    return {
        "inputs": {
            name: {"dtype": dtype, "columns": list(columns)}
            for name, (dtype, columns) in inputs.items()
        },
        "features": {
            "categorical": [
                {"name": e.name, **parts[e.name], **_categories(e)}
                for e in preprocessor.categorical_encoders_
            ],
            "continuous": [
                {"name": e.name, **parts[e.name], **_scaling(e)}
                for e in preprocessor.continuous_encoders_
            ],
        },
    }


def described_texts(preprocessor: TextPreprocessor) -> dict[str, Any]:
    """Return how texts become documents of ids."""
    return {
        "inputs": {"tokens": {"dtype": "int64"}, "lengths": {"dtype": "int64"}},
        "text_columns": list(preprocessor.columns_),
        "padding": PADDING_ID,
        "tokenizer": TOKENIZER,
    }


def _meaning(target: Target) -> dict[str, Any]:
    """What the columns of the output are."""
    if isinstance(target, ClassificationTarget):
        return {"target": target.name, "classes": list(target.classes)}
    if isinstance(target, MultilabelTarget):
        return {"labels": list(target.labels)}
    return {"columns": list(target.columns)}


def _categories(encoder: CategoricalEncoder) -> dict[str, Any]:
    return {
        "kind": str(encoder.categories.type),
        "missing": MISSING if encoder.with_gaps else UNSEEN,
        "values": encoder.categories.to_pylist(),
    }


def _scaling(encoder: ContinuousEncoder) -> dict[str, Any]:
    values = encoder.to_dict()
    del values["name"], values["with_gaps"]
    return values
