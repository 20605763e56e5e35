"""Rossmann Store Sales: seven tables in, one joined table per split out.

The joins and the derived columns are those of the fast.ai lesson (Kaggle's third place of 2015),
with one correction: the search trend is joined by date and not by week number, see
``load_rossmann``.
"""

import os

import pandas as pd
import pyarrow as pa

from tabtext.datasets.files import find_folder, find_tables, read_frame
from tabtext.datasets.splits import Splits
from tabtext.errors import DataError

__all__ = ["load_rossmann"]

_ORIGIN = (
    "train, test and store are on Kaggle, competition 'Rossmann Store Sales' (an account and "
    "consent to its rules are needed); store_states, state_names, googletrend and weather are the "
    "extra tables of the competition's third place (entron, 'entity-embedding-rossmann'), which "
    "fast.ai bundles with its lesson on structured data as rossmann.tgz"
)

_CATEGORY = pa.dictionary(pa.int8(), pa.string())
_DAYS: dict[str, pa.DataType] = {
    "Store": pa.int16(),
    "DayOfWeek": pa.int8(),
    "Date": pa.date32(),
    "Open": pa.int8(),
    "Promo": pa.int8(),
    # Without a type, a CSV reader makes it a mixture of the number 0 and the text "0".
    "StateHoliday": _CATEGORY,
    "SchoolHoliday": pa.int8(),
}
_DTYPES: dict[str, dict[str, pa.DataType]] = {
    "train": {**_DAYS, "Sales": pa.int32()},
    "test": {**_DAYS, "Id": pa.int32()},
    "store": {
        "Store": pa.int16(),
        "StoreType": _CATEGORY,
        "Assortment": _CATEGORY,
        "CompetitionDistance": pa.float32(),
        "CompetitionOpenSinceMonth": pa.float32(),
        "CompetitionOpenSinceYear": pa.float32(),
        "Promo2": pa.int8(),
        "Promo2SinceWeek": pa.float32(),
        "Promo2SinceYear": pa.float32(),
        "PromoInterval": _CATEGORY,
    },
    "store_states": {"Store": pa.int16(), "State": pa.string()},
    "state_names": {"StateName": pa.string(), "State": pa.string()},
    "googletrend": {"file": pa.string(), "week": pa.string(), "trend": pa.int16()},
    "weather": {"file": pa.string(), "Date": pa.date32(), "Events": _CATEGORY},
}

# The last six weeks are the test, as in the papers that use this table; the six before, valid.
_VALID_START = pd.Timestamp("2015-05-08")
_TEST_START = pd.Timestamp("2015-06-19")


def load_rossmann(path: str | os.PathLike[str] | None = None) -> Splits:
    """Join the seven Rossmann tables: daily sales of 1,115 shops in 31 months, and all about them.

    Each row is a shop on a day. Joined to it are the shop (type, assortment, competition, promo),
    its state, the weather in the state, and the state's and the nation's weekly interest in
    "Rossmann" on Google. As in the fast.ai lesson there are also

    - ``CompetitionDaysOpen`` and ``CompetitionMonthsOpen`` (30 days each, at most 24) since the
      nearest competitor opened, 0 where that is unknown, to come, or said to be before 1990;
    - ``Promo2Days`` and ``Promo2Weeks`` (at most 25) since the shop joined the continuous promo,
      0 where it has not.

    Unlike the lesson, gaps stay missing, ``StateHoliday`` keeps its four levels ("0" is none), no
    date parts are added (tabtext derives them from ``Date``), and a day gets the trend of the
    week, Sunday to Saturday, that it lies in. The lesson joins by ISO week number, whereby all
    days but Sundays get the trend of the following week, and 30 December that of the January
    before.

    Parameters
    ----------
    path
        Folder of train, test, store, store_states, state_names, googletrend and weather, each as
        .parquet or .csv. Default: ``$TABTEXT_DATA/rossmann``.

    Returns
    -------
    Splits
        Target ``Sales``. Train until 2015-05-07, valid until 2015-06-18, test until 2015-07-31,
        in the file's order (latest day first). Closed days (``Sales`` 0) are still there, for
        features that look back and ahead: prune them with ``"Sales > 0"``, and score without
        them. ``unlabelled`` is Kaggle's test (to 2015-09-17), without ``Sales``, indexed by its
        ``Id``; its 11 gaps in ``Open`` are filled with 1. ``Customers`` is left out: nobody knows
        it before the day is over. Weather and trend are as observed, not as forecast.

    Raises
    ------
    MissingFileError
        When the folder or any of the tables is absent; the message says where to get them.
    DataError
        When the tables do not fit together, such as a shop without a state.

    References
    ----------
    Cheng Guo and Felix Berkhahn: Entity Embeddings of Categorical Variables, 2016.
    """
    folder = find_folder("rossmann", path, _ORIGIN)
    paths = find_tables(folder, list(_DTYPES), _ORIGIN)
    tables = {name: read_frame(paths[name], dtypes) for name, dtypes in _DTYPES.items()}
    known = tables["train"].drop(columns="Customers", errors="ignore")
    days = pd.concat([known, tables["test"]], ignore_index=True)
    days["Open"] = days["Open"].fillna(1).astype("int8")
    days["StateHoliday"] = days["StateHoliday"].astype("category")

    shops = _shops(tables)
    states = pd.CategoricalDtype(shops["State"].cat.categories)
    joined = _look_up(days.drop(columns=["Sales", "Id"]), shops, ["Store"])
    joined = _look_up(joined, _weather(tables, states), ["State", "Date"])
    joined = _add_ages(_join_trend(joined, tables["googletrend"], states))

    # Only now the sales, and only where they are known, so that they stay whole numbers.
    labelled = joined.iloc[: len(known)].assign(Sales=known["Sales"].to_numpy())
    unlabelled = joined.iloc[len(known) :].set_index(pd.Index(tables["test"]["Id"], name="Id"))
    in_test = labelled["Date"] >= _TEST_START
    in_train = labelled["Date"] < _VALID_START
    return Splits(
        "rossmann",
        train=labelled[in_train].reset_index(drop=True),
        valid=labelled[~in_train & ~in_test].reset_index(drop=True),
        test=labelled[in_test].reset_index(drop=True),
        target="Sales",
        unlabelled=unlabelled,
    )


def _look_up(frame: pd.DataFrame, table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Left join that keeps the rows as they are: a key that occurs twice is an error."""
    try:
        return frame.merge(table, on=keys, how="left", validate="many_to_one")
    except pd.errors.MergeError as error:
        twice = table.loc[table.duplicated(keys), keys].iloc[0].to_dict()
        raise DataError(f"two rows to join for {twice}; remove one from its file") from error


def _shops(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the shops with their states, and the starts that ``_add_ages`` counts from."""
    shops = _look_up(tables["store"], tables["store_states"], ["Store"])
    if shops["State"].isna().any():
        store = shops.loc[shops["State"].isna(), "Store"].iloc[0]
        raise DataError(f"store_states has no state for store {store}; it is in store")
    shops["State"] = shops["State"].astype("category")
    return shops.assign(_competition=_start_of_competition(shops), _promo=_start_of_promo(shops))


def _with_states(table: pd.DataFrame, states: pd.CategoricalDtype, name: str) -> pd.DataFrame:
    """Keep the states that have shops, as the category dtype that the shops have."""
    lacking = states.categories.difference(pd.Index(table["State"]))
    if len(lacking):
        raise DataError(f"{name} has no rows for the state {lacking[0]!r}; it is in store_states")
    table = table[table["State"].isin(states.categories)]
    return table.assign(State=table["State"].astype(states))


def _weather(tables: dict[str, pd.DataFrame], states: pd.CategoricalDtype) -> pd.DataFrame:
    """Return the weather by state and date, numbers as float32 because some have gaps."""
    # Some copies of the file write "Mean VisibilityKm" or " Mean_VisibilityKm".
    weather = tables["weather"].rename(columns=lambda name: name.strip().replace(" ", "_"))
    weather = weather.rename(columns={"file": "StateName"})
    weather = _look_up(weather, tables["state_names"], ["StateName"]).drop(columns="StateName")
    numbers = weather.select_dtypes("number").columns
    weather[numbers] = weather[numbers].astype("float32")
    return _with_states(weather, states, "weather")


def _join_trend(
    frame: pd.DataFrame, trends: pd.DataFrame, states: pd.CategoricalDtype
) -> pd.DataFrame:
    """Add ``trend`` (of the state) and ``trend_DE`` (national) of the week around each date."""
    # "Rossmann_DE_BY" for a state, "Rossmann_DE" for the nation; shops say "HB,NI" for the
    # stores of Lower Saxony and Bremen, whose trend is called NI.
    state = trends["file"].str.removeprefix("Rossmann_DE").str.removeprefix("_")
    start = pd.to_datetime(trends["week"].str.slice(0, 10), format="%Y-%m-%d")
    trends = pd.DataFrame(
        {
            "State": state.replace("NI", "HB,NI"),
            "_week": start.astype(frame["Date"].dtype),
            "trend": trends["trend"].astype("float32"),
        }
    )
    since_sunday = frame["Date"].dt.day_of_week.add(1).mod(7)
    frame = frame.assign(_week=frame["Date"] - pd.to_timedelta(since_sunday, unit="D"))
    national = trends[trends["State"] == ""].drop(columns="State")
    frame = _look_up(frame, _with_states(trends, states, "googletrend"), ["State", "_week"])
    frame = _look_up(frame, national.rename(columns={"trend": "trend_DE"}), ["_week"])
    return frame.drop(columns="_week")


def _start_of_competition(shops: pd.DataFrame) -> pd.Series:
    """Return the middle of the month in which the competitor opened, missing where unknown."""
    opened = pd.DataFrame(
        {
            "year": shops["CompetitionOpenSinceYear"],
            "month": shops["CompetitionOpenSinceMonth"],
            "day": 15,
        }
    )
    # The years 1900 and 1961 are fillers of the file, no openings.
    opened = opened[opened["year"] >= 1990].dropna()
    return pd.to_datetime(opened).reindex(shops.index)


def _start_of_promo(shops: pd.DataFrame) -> pd.Series:
    """Return the Monday of the ISO week in which the shop joined the continuous promo."""
    weeks = shops[["Promo2SinceYear", "Promo2SinceWeek"]].dropna().astype("int32").astype(str)
    names = weeks["Promo2SinceYear"] + "-" + weeks["Promo2SinceWeek"].str.zfill(2) + "-1"
    return pd.to_datetime(names, format="%G-%V-%u").reindex(shops.index)


def _add_ages(frame: pd.DataFrame) -> pd.DataFrame:
    """Replace the two starts by the time since then: 0 when unknown or to come."""
    competition, promo = (
        (frame["Date"] - frame[start]).dt.days.fillna(0).clip(lower=0).astype("int32")
        for start in ("_competition", "_promo")
    )
    return frame.drop(columns=["_competition", "_promo"]).assign(
        CompetitionDaysOpen=competition,
        CompetitionMonthsOpen=(competition // 30).clip(upper=24).astype("int8"),
        Promo2Days=promo,
        Promo2Weeks=(promo // 7).clip(upper=25).astype("int8"),
    )
