"""Features of dates and groups against plain pandas versions that stand here."""

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabtext.errors import ColumnTypeError, DataError, ParameterError, UnknownColumnError
from tabtext.tabular.features import add_date_parts, add_elapsed, add_rolling

# One row: group, day (with gaps, duplicates and missing ones), event, value.
rows = st.tuples(
    st.none() | st.sampled_from(["a", "b", "c"]),
    st.none() | st.integers(0, 25) | st.sampled_from([-3000, 400, 5000]),
    st.none() | st.booleans(),
    # Multiples of 1/4 add up exactly in any order.
    st.none() | st.integers(-4000, 4000).map(lambda quarters: quarters / 4),
)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    drawn = draw(st.lists(rows, max_size=40))
    days = [np.nan if day is None else day for _, day, _, _ in drawn]
    frame = pd.DataFrame(
        {
            "group": pd.Series([group for group, *_ in drawn], dtype="object"),
            "date": pd.Timestamp("2015-01-01")
            + pd.to_timedelta(pd.Series(days, dtype="float64"), "D"),
            "event": pd.Series([event for _, _, event, _ in drawn], dtype="boolean"),
            "value": pd.Series([value for *_, value in drawn], dtype="float64"),
        }
    )
    # An index that is neither unique nor sorted must come through.
    return frame.set_axis(draw(st.permutations(range(len(frame)))), axis="index").rename(
        index=lambda label: label // 2
    )


def same_group(frame: pd.DataFrame, row: pd.Series, by: str | None) -> pd.DataFrame:
    """Return the rows of a row's group that have a date; none if its group is missing."""
    dated = frame[frame["date"].notna()]
    return dated if by is None else dated[(dated[by] == row[by]).to_numpy(bool, na_value=False)]


def elapsed_by_pandas(frame: pd.DataFrame, by: str | None, side: str) -> list[float]:
    """Return the days since (or until) the nearest event, row by row."""
    result = []
    for _, row in frame.iterrows():
        others = same_group(frame, row, by)
        dates = others.loc[others["event"].fillna(False).astype(bool), "date"]
        apart = (row["date"] - dates if side == "since" else dates - row["date"]).dt.days
        result.append(apart[apart >= 0].min())
    return result


def rolling_by_pandas(
    frame: pd.DataFrame, by: str | None, days: int, statistic: str, side: str
) -> list[float]:
    """Return the sum or mean of a row's window of days, row by row."""
    result = []
    for _, row in frame.iterrows():
        others = same_group(frame, row, by)
        away = (
            row["date"] - others["date"] if side == "last" else others["date"] - row["date"]
        ).dt.days
        values = others.loc[((away >= 0) & (away < days)).to_numpy(), "value"]
        result.append(values.sum(min_count=1) if statistic == "sum" else values.mean())
    return result


@given(frames(), st.sampled_from(["group", None]))
@settings(deadline=None, max_examples=50)
def test_elapsed_days_equal_pandas(frame: pd.DataFrame, by: str | None) -> None:
    result = add_elapsed(frame, events=["event"], date="date", by=by)

    for side in ("since", "until"):
        expected = np.array(elapsed_by_pandas(frame, by, side), np.float32)
        np.testing.assert_array_equal(result[f"days_{side}_event"].to_numpy(), expected)


@given(frames(), st.sampled_from(["group", None]), st.sampled_from([1, 2, 7, 30, 10_000]))
@settings(deadline=None, max_examples=50)
def test_rolling_statistics_equal_pandas(frame: pd.DataFrame, by: str | None, days: int) -> None:
    result = add_rolling(frame, "value", date="date", by=by, days=days, direction="both")

    for side in ("last", "next"):
        for statistic in ("sum", "mean"):
            expected = np.array(rolling_by_pandas(frame, by, days, statistic, side), np.float64)
            got = result[f"value_{statistic}_{side}_{days}_days"].to_numpy()
            np.testing.assert_array_equal(got, expected)


def test_rolling_equals_the_rolling_window_of_pandas_on_distinct_days() -> None:
    random = np.random.default_rng(0)
    dates = pd.date_range("2015-01-01", periods=400)
    shops = [
        pd.DataFrame({"Store": store, "Date": dates[random.random(400) < 0.7]})
        for store in range(5)
    ]
    frame = pd.concat(shops, ignore_index=True)
    frame["Sales"] = random.integers(0, 9_000, len(frame))
    expected = frame.groupby("Store").rolling("7D", on="Date")["Sales"].sum().to_numpy()

    result = add_rolling(
        frame.sample(frac=1, random_state=1), "Sales", date="Date", by="Store", statistics=["sum"]
    )

    np.testing.assert_array_equal(result.sort_index()["Sales_sum_last_7_days"], expected)


@given(frames())
@settings(deadline=None, max_examples=50)
def test_rows_index_and_old_columns_stay_as_they_were(frame: pd.DataFrame) -> None:
    before = frame.copy()

    result = add_elapsed(frame, events=["event"], date="date", by="group")

    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(result[frame.columns], before)


def stores() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Store": [1, 1, 1, 2],
            "State": ["HE", "HE", "BY", "HE"],
            "Date": pd.to_datetime(["2015-07-05", "2015-07-01", "2015-07-03", "2015-07-04"]),
            "Promo": [0, 0, 1, 1],
            "StateHoliday": ["0", "a", "0", "b"],
        }
    )


def test_several_columns_make_a_group() -> None:
    result = add_elapsed(stores(), events=["Promo"], date="Date", by=["Store", "State"])

    assert result["days_since_Promo"].fillna(-1).tolist() == [-1, -1, 0, 0]


def test_an_event_may_be_a_condition() -> None:
    events = {"holiday": "StateHoliday in ['a', 'b']"}

    result = add_elapsed(stores(), events=events, date="Date", by="Store")

    assert result["days_since_holiday"].tolist() == [4, 0, 2, 0]


def test_an_event_column_may_have_a_name_with_spaces() -> None:
    frame = stores().rename(columns={"Promo": "on promo?"})

    result = add_elapsed(frame, events=["on promo?"], date="Date", by="Store")

    assert result["days_since_on promo?"].fillna(-1).tolist() == [2, -1, 0, 0]


def test_the_time_of_day_does_not_count() -> None:
    dates = pd.to_datetime(["2015-07-01 23:59", "2015-07-02 00:01"])
    frame = pd.DataFrame({"when": dates, "event": [1, 0]})

    result = add_elapsed(frame, events=["event"], date="when")

    assert result["days_since_event"].tolist() == [0, 1]


@pytest.mark.parametrize("form", ["category", "string", "object", "int64"])
def test_groups_may_have_any_dtype(form: str) -> None:
    frame = stores()
    frame["Store"] = frame["Store"].astype("str").astype(form)

    result = add_elapsed(frame, events=["Promo"], date="Date", by="Store")

    assert result["days_until_Promo"].fillna(-1).tolist() == [-1, 2, 0, 0]


def test_dates_thousands_of_years_apart_need_no_memory_for_the_days_between() -> None:
    dates = [datetime.date(9999, 1, 1), datetime.date(1, 1, 1), datetime.date(1, 1, 3)]
    frame = pd.DataFrame({"Date": dates, "event": [0, 1, 0]})

    result = add_elapsed(frame, events=["event"], date="Date")

    assert result["days_since_event"].tolist() == [3651694, 0, 2]


def test_an_infinity_does_not_spoil_later_windows() -> None:
    frame = pd.DataFrame({"Date": pd.date_range("2015-01-01", periods=4), "x": [1, np.inf, 2, 3]})

    result = add_rolling(frame, "x", date="Date", days=2, statistics=["sum"])

    assert result["x_sum_last_2_days"].tolist() == [1, np.inf, np.inf, 5]


def test_a_large_value_that_left_the_window_leaves_no_rounding_error() -> None:
    values = [1e17, 0.25, 0.5, 0.125]
    frame = pd.DataFrame({"Date": pd.date_range("2015-01-01", periods=4), "x": values})

    result = add_rolling(frame, "x", date="Date", days=2, statistics=["sum"])

    assert result["x_sum_last_2_days"].tolist()[2:] == [0.75, 0.625]


def test_rolling_names_say_column_statistic_direction_and_days() -> None:
    result = add_rolling(
        stores(), ["Promo", "Store"], date="Date", days=3, statistics=["mean"], direction="next"
    )

    assert list(result.columns[5:]) == ["Promo_mean_next_3_days", "Store_mean_next_3_days"]


def test_date_parts_equal_pandas() -> None:
    frame = pd.DataFrame(
        {"Date": pd.date_range("2014-12-20", periods=800)}, index=range(800, 0, -1)
    )

    result = add_date_parts(frame, "Date")

    dates = frame["Date"].dt
    assert result["Date_year"].tolist() == dates.year.tolist()
    assert result["Date_day_of_week"].tolist() == dates.day_of_week.tolist()
    assert result["Date_week"].tolist() == dates.isocalendar().week.tolist()
    assert result["Date_is_quarter_end"].tolist() == dates.is_quarter_end.tolist()
    assert result["Date_elapsed"].tolist() == [
        int(instant.timestamp()) for instant in frame["Date"].dt.tz_localize("UTC")
    ]
    assert result.index.equals(frame.index)


def test_date_parts_of_a_missing_date_are_missing() -> None:
    frame = pd.DataFrame({"Date": pd.to_datetime(["2015-07-31", None])})

    result = add_date_parts(frame, "Date", parts=["month", "is_month_end", "elapsed"])

    assert result["Date_month"].dtype == "Int32"
    assert result["Date_is_month_end"].dtype == "boolean"
    assert result["Date_elapsed"].dtype == "Int64"
    assert result.iloc[1, 1:].isna().all()
    assert result.iloc[0, 1:].tolist() == [7, True, 1438300800]


def test_the_date_itself_can_be_dropped() -> None:
    result = add_date_parts(stores(), "Date", parts=["year"], drop=True)

    assert "Date" not in result
    assert "Date" in stores()


def test_a_frame_without_rows_gets_the_columns() -> None:
    frame = stores().iloc[:0]

    elapsed = add_elapsed(frame, events=["Promo"], date="Date", by="Store")
    rolled = add_rolling(frame, "Promo", date="Date", by="Store")

    assert list(elapsed.columns[5:]) == ["days_since_Promo", "days_until_Promo"]
    assert list(rolled.columns[5:]) == ["Promo_sum_last_7_days", "Promo_mean_last_7_days"]


def test_a_misspelt_column_is_named_with_the_likely_one() -> None:
    with pytest.raises(UnknownColumnError, match=r"'Stroe' is not in the frame .* 'Store'"):
        add_elapsed(stores(), events=["Promo"], date="Date", by="Stroe")


def test_a_column_that_stands_twice_is_refused() -> None:
    frame = pd.concat([stores(), stores()[["Promo"]]], axis=1)

    with pytest.raises(DataError, match="two columns called 'Promo'"):
        add_elapsed(frame, events=["Promo"], date="Date", by="Store")


def test_new_columns_never_replace_old_ones() -> None:
    frame = add_elapsed(stores(), events=["Promo"], date="Date", by="Store")

    with pytest.raises(DataError, match=r"already has the columns .*days_since_Promo"):
        add_elapsed(frame, events=["Promo"], date="Date", by="Store")


def test_text_as_an_event_is_refused() -> None:
    with pytest.raises(ColumnTypeError, match="'StateHoliday' holds a text"):
        add_elapsed(stores(), events=["StateHoliday"], date="Date", by="Store")


def test_text_in_a_rolling_sum_is_refused() -> None:
    with pytest.raises(ColumnTypeError, match=r"'State' holds .* numbers are needed"):
        add_rolling(stores(), "State", date="Date")


def test_numbers_as_dates_are_refused() -> None:
    with pytest.raises(ColumnTypeError, match="'Promo' holds int64, not dates"):
        add_rolling(stores(), "Store", date="Promo")


def test_a_column_of_mixed_types_is_refused_with_examples() -> None:
    frame = stores().assign(Promo=pd.Series([1, "x", 0, 1], dtype="object"))

    with pytest.raises(ColumnTypeError, match=r"'Promo' mixes types: 1 \(int\) and 'x' \(str\)"):
        add_rolling(frame, "Promo", date="Date")


def test_anything_but_a_pandas_frame_is_refused() -> None:
    with pytest.raises(ColumnTypeError, match="expected a pandas DataFrame, got dict"):
        add_date_parts({"Date": []}, "Date")  # type: ignore[arg-type]  # the error is the point


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"days": 0}, "days=0"),
        ({"days": 1.5}, "days=1.5"),
        ({"statistics": ["median"]}, "statistic='median'"),
        ({"direction": "back"}, "direction='back'"),
    ],
)
def test_a_window_outside_its_choices_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        add_rolling(stores(), "Promo", date="Date", **arguments)
