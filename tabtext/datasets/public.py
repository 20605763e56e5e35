"""Larger public tables, read from your disk and split as the literature does.

Each loader takes a folder (or finds it in ``$TABTEXT_DATA``) and returns ``Splits``.
"""

import os
from typing import Literal

import pandas as pd
import pyarrow as pa

from tabtext.datasets.files import find_folder, find_table, find_tables, read_frame
from tabtext.datasets.splits import Splits, shuffled_split
from tabtext.errors import ParameterError

__all__ = ["load_adult", "load_airbnb", "load_california", "load_diamonds", "load_otto"]

Folder = str | os.PathLike[str] | None

_CATEGORY = pa.dictionary(pa.int8(), pa.string())


def load_adult(path: Folder = None) -> Splits:
    """Census income: whether a person earns more than 50,000 dollars a year.

    Parameters
    ----------
    path
        Folder of ``train`` and ``test`` (.parquet or .csv). Default: ``$TABTEXT_DATA/adult``.

    Returns
    -------
    Splits
        48,842 people in the official test split (16,281). The training rows are parted by the
        column ``rtdl_split`` ("train"/"val", 26,048 and 6,513, as in the rtdl papers) when the
        file has it, else at random, 80 : 20. Target ``income``; ``fnlwgt`` is a sampling weight:
        pass it as ``sample_weight`` or exclude it.

    Raises
    ------
    MissingFileError
        When the folder or a file is absent.

    References
    ----------
    Barry Becker and Ronny Kohavi: Adult, UCI Machine Learning Repository, 1996 (CC BY 4.0).
    """
    origin = (
        "Adult is in the UCI Machine Learning Repository ('Adult' or 'Census Income'): save "
        "adult.data and adult.test as train.csv and test.csv, each with a line of column names."
    )
    folder = find_folder("adult", path, origin)
    train, test = (
        _tidy_adult(read_frame(path))
        for path in find_tables(folder, ["train", "test"], origin).values()
    )
    if "rtdl_split" in train:
        in_train = (train.pop("rtdl_split") == "train").to_numpy()
    else:
        positions, _, _ = shuffled_split(len(train), shares=(0.8, 0.2, 0.0))
        in_train = pd.RangeIndex(len(train)).isin(positions)
    parts = {"train": train[in_train], "valid": train[~in_train], "test": test}
    return _splits("adult", parts, target="income")


def load_california(path: Folder = None) -> Splits:
    """California housing: median value of the houses in 20,640 districts, in 100,000 dollars.

    Parameters
    ----------
    path
        Folder of ``california`` (.parquet or .csv), the eight features of scikit-learn's
        ``fetch_california_housing`` with a column ``split``. Default: ``$TABTEXT_DATA/california``.

    Returns
    -------
    Splits
        13,209, 3,303 and 4,128 districts by the file's column ``split`` (the split of the rtdl
        papers). Target ``MedHouseVal``, which the census capped at 5.00001.

    Raises
    ------
    MissingFileError
        When the folder or the file is absent.

    References
    ----------
    R. Kelley Pace and Ronald Barry: Sparse Spatial Autoregressions, 1997 (StatLib).
    """
    origin = (
        "scikit-learn's fetch_california_housing(as_frame=True).frame has the same columns; add a "
        "column 'split' with the values train, val and test."
    )
    folder = find_folder("california", path, origin)
    frame = read_frame(find_table(folder, "california", origin), {"split": _CATEGORY})
    # The row number in scikit-learn's order is no feature.
    frame = frame.drop(columns="orig_row", errors="ignore")
    return _by_column("california", frame, target="MedHouseVal")


def load_diamonds(path: Folder = None) -> Splits:
    """Diamonds: the price in dollars of 53,940 cut stones.

    Parameters
    ----------
    path
        Folder of ``diamonds`` (.parquet or .csv). Default: ``$TABTEXT_DATA/diamonds``.

    Returns
    -------
    Splits
        65 : 15 : 20, shuffled with seed 0 (the file is roughly ordered by price). Target
        ``price``: fit its logarithm. A few stones have a length of 0, which is a missing value.

    Raises
    ------
    MissingFileError
        When the folder or the file is absent.

    References
    ----------
    Hadley Wickham: ggplot2, 2009 (MIT).
    """
    origin = "diamonds.csv is part of ggplot2 (R) and of the data that seaborn downloads."
    folder = find_folder("diamonds", path, origin)
    dtypes = dict.fromkeys(("cut", "color", "clarity"), _CATEGORY)
    return _shuffled(
        "diamonds",
        read_frame(find_table(folder, "diamonds", origin), dtypes),
        "price",
    )


def load_otto(path: Folder = None) -> Splits:
    """Otto products: which of nine classes a product with these 93 counts belongs to.

    Parameters
    ----------
    path
        Folder of ``train`` (.parquet or .csv). Default: ``$TABTEXT_DATA/otto``.

    Returns
    -------
    Splits
        61,878 products, 65 : 15 : 20, stratified and shuffled with seed 0 (the file is ordered by
        class). Target ``target``; the row number ``id`` is left out, as it gives the class away.

    Raises
    ------
    MissingFileError
        When the folder or the file is absent.

    References
    ----------
    Kaggle: Otto Group Product Classification Challenge, 2015 (competition rules; not open).
    """
    origin = (
        "train.csv is on Kaggle, competition 'Otto Group Product Classification Challenge' "
        "(an account and consent to its rules are needed)."
    )
    folder = find_folder("otto", path, origin)
    frame = read_frame(find_table(folder, "train", origin), {"target": _CATEGORY})
    frame = frame.drop(columns="id", errors="ignore")
    return _shuffled("otto", frame, "target", stratify=True)


def load_airbnb(
    path: Folder = None, *, city: Literal["dublin", "washington_dc"] = "dublin"
) -> Splits:
    """Airbnb listings: the price of a night, from numbers, categories, dates and four texts.

    Parameters
    ----------
    path
        Folder of ``dublin`` and ``washington_dc`` (.parquet). Default: ``$TABTEXT_DATA/airbnb``.
    city
        ``"dublin"``, the default because it is larger (7,255 listings), or ``"washington_dc"``
        (4,769).

    Returns
    -------
    Splits
        70 : 10 : 20 by the file's column ``split`` (a hash of the listing). Target ``price``,
        heavy-tailed with absurd values: fit its logarithm, prune outliers of the training part
        only.

    Raises
    ------
    MissingFileError
        When the folder or the file is absent.

    References
    ----------
    Inside Airbnb: listings of Dublin, 2021, and of Washington, D.C., 2025 (CC BY 4.0).
    """
    cities = ("dublin", "washington_dc")
    if city not in cities:
        raise ParameterError(f"city={city!r} is not one of {', '.join(cities)}")
    origin = (
        "Inside Airbnb publishes listings.csv.gz per city; save the priced listings as "
        f"{city}.parquet with a column 'split' of the values train, valid and test."
    )
    folder = find_folder("airbnb", path, origin)
    frame = read_frame(find_table(folder, city, origin), {"split": _CATEGORY})
    return _by_column(f"airbnb {city}", frame, target="price")


def _tidy_adult(frame: pd.DataFrame) -> pd.DataFrame:
    """Undo the quirks of the official files: ``" ?"`` for missing, a full stop after a label."""
    numbers_and_categories = frame.select_dtypes(["number", "category"]).columns
    for name in frame.columns.difference(numbers_and_categories):
        stripped = frame[name].str.strip().str.removesuffix(".")
        frame[name] = stripped.mask(stripped == "?").astype("category")
    return frame


def _splits(name: str, parts: dict[str, pd.DataFrame], target: str) -> Splits:
    """Give the parts one index, one order of columns, and one dtype per category column."""
    columns = list(parts["train"].columns)
    whole = pd.concat([part[columns] for part in parts.values()], ignore_index=True)
    for column in columns:
        # The official files of one data set may list different categories.
        if any(isinstance(part[column].dtype, pd.CategoricalDtype) for part in parts.values()):
            whole[column] = whole[column].astype("category")
    ends = pd.Series([len(part) for part in parts.values()]).cumsum().tolist()
    train, valid, test = (
        whole.iloc[start:end].reset_index(drop=True)
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    )
    return Splits(name, train, valid, test, target)


def _by_column(name: str, frame: pd.DataFrame, target: str) -> Splits:
    """Split by the column ``split``, which some files call "val" where others say "valid"."""
    split = frame.pop("split").astype(str).replace("val", "valid")
    parts = {part: frame[split == part] for part in ("train", "valid", "test")}
    return _splits(name, parts, target)


def _shuffled(name: str, frame: pd.DataFrame, target: str, *, stratify: bool = False) -> Splits:
    """Split 65 : 15 : 20 at random, with seed 0."""
    positions = shuffled_split(len(frame), stratify=frame[target] if stratify else None)
    train, valid, test = (frame.iloc[part] for part in positions)
    return _splits(name, {"train": train, "valid": valid, "test": test}, target)
