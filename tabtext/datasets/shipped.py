"""The two data sets that ship with tabtext; ``data/README.md`` has their sources and licences."""

from typing import Literal

import pandas as pd

from tabtext.datasets.files import read_frame, shipped_file
from tabtext.errors import ParameterError, did_you_mean

__all__ = ["load_flights", "load_snippets"]

# First day of each part, and the day after its last.
_FLIGHT_SPLITS = {
    "train": ("2013-01-01", "2013-11-01"),
    "valid": ("2013-11-01", "2013-12-01"),
    "test": ("2013-12-01", "2014-01-01"),
}
_SNIPPET_SOURCES = ("movies", "amazon", "nyt", "tweets")


def load_flights(split: Literal["train", "valid", "test"] | None = None) -> pd.DataFrame:
    """Return the 336,776 flights that left New York in 2013, with weather, plane and airport.

    Everything but the target ``arr_delay`` (minutes) is known when the plane leaves; what is
    known only later (arrival time, time in the air) was left out. Cancelled flights have neither
    delay, diverted flights no ``arr_delay``: drop or prune them before fitting.

    Parameters
    ----------
    split
        ``"train"``: January to October (281,373 flights), ``"valid"``: November (27,268),
        ``"test"``: December (28,135). None, the default, is the whole year. The split is by time
        because a model that predicts the future must not have seen its weather.

    Returns
    -------
    pandas.DataFrame
        Ordered by scheduled departure, a new index from 0. Text columns are categories, the same
        in every split.

    References
    ----------
    Hadley Wickham: nycflights13, 2014 (CC0), from the US Bureau of Transportation Statistics,
    NOAA and the FAA.

    Examples
    --------
    >>> flights = load_flights("test")
    >>> len(flights), flights["arr_delay"].isna().sum()
    (28135, np.int64(1115))
    >>> flights["scheduled_departure"].min()
    Timestamp('2013-12-01 05:00:00')
    """
    if split is not None and split not in _FLIGHT_SPLITS:
        raise ParameterError(
            f"split={split!r} is not one of {', '.join(_FLIGHT_SPLITS)}, or None for all"
            f"{did_you_mean(str(split), _FLIGHT_SPLITS)}"
        )
    flights = read_frame(shipped_file("flights.parquet"))
    if split is None:
        return flights
    start, end = (pd.Timestamp(day) for day in _FLIGHT_SPLITS[split])
    departure = flights["scheduled_departure"]
    return flights[(departure >= start) & (departure < end)].reset_index(drop=True)


def load_snippets(
    source: Literal["movies", "amazon", "nyt", "tweets"] | None = None,
) -> pd.DataFrame:
    """Return 23,703 short texts, each with the mean sentiment that people read in it.

    Parameters
    ----------
    source
        ``"movies"``: sentences of film reviews (10,605), ``"amazon"``: of product reviews
        (3,708), ``"nyt"``: of opinion editorials (5,190), ``"tweets"``: tweet-like messages
        (4,200). None, the default, gives all of them.

    Returns
    -------
    pandas.DataFrame
        Columns source, document, sentence, text, rating (-4 to 4, mean of 15 or more people),
        rating_deviation and raters. Sentences of one ``document`` belong together: keep them on
        one side of a split.

    References
    ----------
    C.J. Hutto and Eric Gilbert: VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
    Social Media Text, 2014 (data under the MIT licence).

    Examples
    --------
    >>> movies = load_snippets("movies")
    >>> movies.loc[movies["rating"].idxmax(), "text"]
    "One of the greatest films I've ever seen."
    """
    if source is not None and source not in _SNIPPET_SOURCES:
        raise ParameterError(
            f"source={source!r} is not one of {', '.join(_SNIPPET_SOURCES)}, or None for all"
            f"{did_you_mean(str(source), _SNIPPET_SOURCES)}"
        )
    snippets = read_frame(shipped_file("snippets.parquet"))
    if source is None:
        return snippets
    return snippets[snippets["source"] == source].reset_index(drop=True)
