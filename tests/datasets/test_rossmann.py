"""The seven Rossmann tables: joined by hand on a few rows, and the real ones where they are."""

from pathlib import Path

import pandas as pd
import pytest

from tabtext.datasets import load_rossmann
from tabtext.errors import MissingFileError

TABLES = {
    "train": """Store,DayOfWeek,Date,Sales,Customers,Open,Promo,StateHoliday,SchoolHoliday
1,5,2015-07-31,5263,555,1,1,0,1
2,5,2015-07-31,6064,625,1,1,0,1
1,1,2015-05-11,0,0,0,0,a,0
1,4,2015-05-07,4000,400,1,0,0,0
""",
    "test": """Id,Store,DayOfWeek,Date,Open,Promo,StateHoliday,SchoolHoliday
1,1,6,2015-08-01,,1,0,0
""",
    "store": """Store,StoreType,Assortment,CompetitionDistance,CompetitionOpenSinceMonth,\
CompetitionOpenSinceYear,Promo2,Promo2SinceWeek,Promo2SinceYear,PromoInterval
1,c,a,1270,7,2015,0,,,
2,a,c,,,,1,13,2010,"Jan,Apr,Jul,Oct"
""",
    "store_states": "Store,State\n1,HE\n2,BY\n",
    "state_names": "StateName,State\nHessen,HE\nBayern,BY\n",
    "googletrend": """file,week,trend
Rossmann_DE,2015-07-26 - 2015-08-01,80
Rossmann_DE_HE,2015-07-26 - 2015-08-01,70
Rossmann_DE_BY,2015-07-26 - 2015-08-01,60
Rossmann_DE,2015-05-03 - 2015-05-09,50
Rossmann_DE_HE,2015-05-03 - 2015-05-09,40
Rossmann_DE,2015-05-10 - 2015-05-16,30
Rossmann_DE_HE,2015-05-10 - 2015-05-16,20
""",
    "weather": """file,Date,Max_TemperatureC,Events
Hessen,2015-07-31,25,Rain
Bayern,2015-07-31,30,
Hessen,2015-05-11,15,Fog
Hessen,2015-05-07,14,
Hessen,2015-08-01,26,
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in TABLES.items():
        (tmp_path / f"{name}.csv").write_text(content)
    return tmp_path


def test_every_table_is_joined_to_its_rows(folder: Path) -> None:
    test = load_rossmann(folder).test.set_index("Store")

    assert test.loc[1, ["State", "StoreType", "Events"]].tolist() == ["HE", "c", "Rain"]
    assert test.loc[2, ["State", "Max_TemperatureC"]].tolist() == ["BY", 30]
    assert test.loc[1, ["trend", "trend_DE"]].tolist() == [70, 80]
    assert test.loc[2, ["trend", "trend_DE"]].tolist() == [60, 80]
    assert pd.isna(test.loc[2, "CompetitionDistance"])


def test_ages_of_competition_and_promo_are_counted_in_days_and_capped(folder: Path) -> None:
    splits = load_rossmann(folder)
    test = splits.test.set_index("Store")

    assert test.loc[1, "CompetitionDaysOpen"] == 16  # since the 15th of the month
    assert splits.train["CompetitionDaysOpen"].tolist() == [0]  # not open yet
    assert test.loc[2, "Promo2Weeks"] == 25
    assert test.loc[1, "Promo2Days"] == 0


def test_parts_follow_the_calendar_and_customers_are_left_out(folder: Path) -> None:
    splits = load_rossmann(folder)

    assert (len(splits.train), len(splits.valid), len(splits.test)) == (1, 1, 2)
    assert splits.unlabelled is not None
    assert splits.unlabelled["Open"].tolist() == [1]
    for part in splits:
        assert "Customers" not in part


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_lacks_is_named_with_its_source(folder: Path, name: str) -> None:
    (folder / f"{name}.csv").unlink()

    with pytest.raises(MissingFileError, match=rf"{name}.*Kaggle"):
        load_rossmann(folder)


def test_without_a_folder_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TABTEXT_DATA", raising=False)

    with pytest.raises(MissingFileError, match="TABTEXT_DATA"):
        load_rossmann()


@pytest.mark.slow
def test_the_real_tables_keep_every_row(larger_data: Path) -> None:
    splits = load_rossmann(larger_data / "rossmann")

    assert sum(len(part) for part in splits) == 1_017_209
    assert splits.train["State"].notna().all()
    assert splits.train["trend"].notna().all()
    assert splits.train["Max_TemperatureC"].notna().all()
