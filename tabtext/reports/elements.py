"""What a report is made of: sections of paragraphs, facts, pictures, tables and excerpts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tabtext.errors import ParameterError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Excerpt", "Picture", "Section", "Table"]


@dataclass(frozen=True)
class Picture:
    """A picture with a caption.

    Parameters
    ----------
    caption : str
        What is to be seen; also read aloud to those who cannot see it.
    axes : Axes
        What a function of ``tabtext.plots`` returned.
    size : {"large", "small"}
        Two large ones stand beside each other where there is room, or three small ones.

    Examples
    --------
    >>> import numpy as np
    >>> from tabtext.plots import plot_predicted
    >>> axes = plot_predicted(np.array([1.0, 2.0]), np.array([1.1, 1.9]))
    >>> Picture("Predicted against true", axes).size
    'large'
    """

    caption: str
    axes: "Axes"
    size: Literal["large", "small"] = "large"


@dataclass(frozen=True)
class Table:
    """A table. Columns of numbers stand to the right and share their number of decimals.

    Parameters
    ----------
    head : sequence of str
        Names of the columns.
    rows : sequence of sequences
        Cells: text, whole numbers, floats, or None for nothing; as many in each row as in ``head``.
    caption : str
        What the table shows.
    scrolls : bool
        Whether a long one has a frame of limited height on a screen; on paper all rows are there.

    Raises
    ------
    ParameterError
        If a row has more or fewer cells than the head.

    Examples
    --------
    >>> len(Table(("model", "rmse"), [("tabtext", 12.5), ("boosting", 12.9)]).rows)
    2
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    scrolls: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.head):
                raise ParameterError(
                    f"a row of {len(row)} cells in a table of {len(self.head)} columns: {row!r}"
                )


@dataclass(frozen=True)
class Excerpt:
    """A text from the data, with coloured words.

    Parameters
    ----------
    caption : str
        What is said about the text.
    html : str
        What ``tabtext.plots.coloured_html`` made of it; it is not escaped again.

    Examples
    --------
    >>> Excerpt("Taken for praise", "Not <b>bad</b> at all.").caption
    'Taken for praise'
    """

    caption: str
    html: str


@dataclass(frozen=True)
class Section:
    """A heading with what belongs to it: text, then facts, pictures, tables and excerpts.

    Parameters
    ----------
    title : str
        The heading, also in the list of links at the top.
    text : sequence of str
        Paragraphs.
    tables : sequence of Table
        Tables, beside each other where there is room.
    pictures : sequence of Picture
        Pictures, large ones first.
    facts : mapping
        Name -> short value, shown side by side.
    excerpts : sequence of Excerpt
        Texts with coloured words, below each other.

    Examples
    --------
    >>> Section("Data", ["As they came."], facts={"rows": 1200}).facts["rows"]
    1200
    """

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    excerpts: Sequence[Excerpt] = ()
