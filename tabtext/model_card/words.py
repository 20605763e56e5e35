"""Values of a card in words."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["PHASE_HEAD", "bytes_text", "phase_rows", "type_name", "value_text"]

PHASE_HEAD = ("epochs", "layer groups", "peak rate", "ratio", "schedule")
"""What ``phase_rows`` says about every phase."""


def phase_rows(phases: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return what a recipe does in each of its phases, in words.

    Parameters
    ----------
    phases : sequence of mapping
        As ``TrainingOptions.to_dict`` has them.

    Returns
    -------
    list of tuple of str
        Cells under ``PHASE_HEAD``.

    Examples
    --------
    >>> phase_rows([{"epochs": 1, "freeze_to": -1, "learning_rate": 0.02}])
    [('1', 'last 1', '0.02', '-', '-')]
    """
    return [
        (
            str(phase["epochs"]),
            _trained(phase.get("freeze_to")),
            *(_text_or_dash(phase.get(name)) for name in ("learning_rate", "group_ratio")),
            _text_or_dash(phase.get("schedule")),
        )
        for phase in phases
    ]


def type_name(dtype: str) -> str:
    """Return Arrow's name of a type, less its sizes of offsets, which say nothing to a reader.

    Parameters
    ----------
    dtype : str
        Of Arrow.

    Examples
    --------
    >>> type_name("large_string"), type_name("double")
    ('string', 'float64')
    """
    return dtype.replace("large_string", "string").replace("double", "float64")


def bytes_text(n_bytes: int) -> str:
    """Return a size for people.

    Parameters
    ----------
    n_bytes : int
        Its bytes.

    Examples
    --------
    >>> bytes_text(512), bytes_text(12_345_678)
    ('512 bytes', '12.3 MB')
    """
    size, unit = float(n_bytes), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{n_bytes} bytes" if unit == "bytes" else f"{size:.1f} {unit}"


def value_text(value: Any) -> str:
    """Return a value of a card as a person reads it.

    Parameters
    ----------
    value : JSON value
        A number, text, a list, a mapping or None.

    Examples
    --------
    >>> value_text(0.123456789), value_text([1234, None]), value_text({"train": 5})
    ('0.12346', '1,234, none', 'train 5')
    """
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {value_text(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(value_text, value))
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _trained(freeze_to: int | None) -> str:
    """Which layer groups learn."""
    if freeze_to is None:
        return "as before"
    if freeze_to == 0:
        return "all"
    return f"last {-freeze_to}" if freeze_to < 0 else f"from group {freeze_to + 1} on"


def _text_or_dash(value: Any) -> str:
    return "-" if value is None else value_text(value)
