"""What a report says about language models: how well they foresee texts, and what they write."""

from typing import Any

from tabtext.reports.comparison import metric_label
from tabtext.reports.elements import Excerpt, Section

__all__ = ["language_sections"]

_N_TEXTS, _N_TOKENS = 3, 60


def language_sections(model: Any, data: Any, *, description: str, seed: int) -> list[Section]:
    """Perplexity on texts, where there are some, and texts that the model makes up.

    Parameters
    ----------
    model : LanguageModel
        The fitted model.
    data : texts, table, path, Corpus or None
        As for its ``evaluate``.
    description : str
        What the texts are, in words.
    seed : int
        Of the texts that are made up.
    """
    from html import escape

    sections = []
    if data is not None:
        facts = {_name(name): value for name, value in model.evaluate(data).items()}
        text = f"Measured on {description}." if description else "Measured on the texts given."
        sections.append(Section("Result", [text], facts=facts))
    if "forward" in model.networks_:
        texts = model.generate(n_tokens=_N_TOKENS, n_texts=_N_TEXTS, random_state=seed)
        excerpts = [
            Excerpt(f"Text {number}", f"<p>{escape(text)}</p>")
            for number, text in enumerate(texts, start=1)
        ]
        said = "Made up by the model, drawn token by token from the likeliest ones."
        sections.append(Section("What it writes", [said], excerpts=excerpts))
    return sections


def _name(metric: str) -> str:
    names = {"tokens": "tokens scored", "unknown": "share of unknown tokens"}
    return names.get(metric, metric_label(metric).replace("_", " "))
