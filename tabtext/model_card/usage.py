"""How a saved model is used, and what it should not be used for."""

from collections.abc import Mapping
from typing import Any

__all__ = ["how_to_use", "limits"]


def how_to_use(config: Mapping[str, Any], name: str) -> str:
    """Return lines of Python that run where the model's directory is.

    Parameters
    ----------
    config : mapping
        Of an artifact.
    name : str
        Of its directory.

    Examples
    --------
    >>> print(how_to_use({"estimator": "LanguageModel"}, "english"))
    import tabtext
    <BLANKLINE>
    model = tabtext.load('english')
    model.generate("The", n_tokens=20)
    model.perplexity(["A text to be judged."])
    """
    return "\n".join(["import tabtext", "", f"model = tabtext.load({name!r})", *_calls(config)])


def _calls(config: Mapping[str, Any]) -> list[str]:
    kind = config["estimator"]
    if kind == "LanguageModel":
        calls = ['model.generate("The", n_tokens=20)', 'model.perplexity(["A text to be judged."])']
        return calls[1:] if _reads_backward_only(config) else calls
    columns = config.get("feature_names") or ["text"]
    if kind.startswith("Text") and len(columns) == 1:
        rows = '["A text to be judged."]'
    else:
        # In a file, because what a row holds is only known to who has one.
        rows = '"rows.csv"'
    calls = [f"model.predict({rows})"]
    if kind.endswith("Classifier"):
        calls.append(f"model.predict_proba({rows})  # a column for each of model.classes_")
    return calls


def _reads_backward_only(config: Mapping[str, Any]) -> bool:
    return list(config.get("networks", {})) == ["backward"]


def limits(config: Mapping[str, Any]) -> list[str]:
    """Return what nobody should expect of a model of this kind.

    Parameters
    ----------
    config : mapping
        Of an artifact.

    Examples
    --------
    >>> len(limits({"estimator": "TabularRegressor", "card": {"rows": {"valid": 9}}}))
    3
    """
    kind, rows = config["estimator"], config["card"].get("rows", {})
    found = ["It has learned what its training rows show, and repeats what is wrong in them."]
    if kind == "LanguageModel":
        return [*found, "What it writes is likely, not true."]
    found.append(
        "Metrics hold for rows that are like the validation rows; where times, places or people "
        "differ, measure again before you rely on it."
    )
    if rows.get("valid"):
        found.append(
            "The validation rows also chose the best epoch, so that their metrics are a little too "
            "good."
        )
    if not rows.get("valid") and not config["card"].get("metrics"):
        found.append("No rows were held out: what it is worth on new ones is not known.")
    if kind.startswith("Text"):
        found.append("Words that it has never read tell it nothing, nor do other languages.")
    return found
