"""Pictures of columns, and of how predictions depend on them."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tabtext import plots
from tabtext.errors import DataError
from tabtext.plots.style import BLUE, GREY, figure_of

GENERATOR = np.random.default_rng(0)


def test_every_value_within_the_quantiles_is_counted_and_the_others_are_told() -> None:
    values = np.append(np.arange(1000.0), 1e9)

    axes = plots.plot_distribution(values, label="distance")

    counted = sum(bar.get_height() for bar in axes.patches)
    assert counted == np.sum((values >= 5) & (values <= 995))
    assert axes.get_title(loc="right") == f"{1 - counted / 1001:.1%} beyond"


def test_few_whole_numbers_have_a_bar_each() -> None:
    axes = plots.plot_distribution(np.repeat([1.0, 2.0, 4.0], [3, 5, 2]), label="stops")

    assert [bar.get_height() for bar in axes.patches] == [3, 5, 0, 2]
    assert [bar.get_x() + bar.get_width() / 2 for bar in axes.patches] == [1, 2, 3, 4]


def test_dates_are_drawn_on_an_axis_of_dates() -> None:
    days = np.datetime64("2013-01-01") + np.arange(300).astype("timedelta64[D]")

    axes = plots.plot_distribution(np.append(days, np.datetime64("NaT")), label="date")

    figure_of(axes).draw_without_rendering()
    assert sum(bar.get_height() for bar in axes.patches) >= 290
    assert "Mar" in [text.get_text() for text in axes.get_xticklabels()]


def test_one_value_everywhere_is_one_bar() -> None:
    assert [b.get_height() for b in plots.plot_distribution(np.ones(4), label="x").patches] == [4]


@pytest.mark.parametrize("values", [np.array([np.nan, np.inf]), np.array(["NaT"], "datetime64[s]")])
def test_no_value_is_no_picture(values: np.ndarray) -> None:
    with pytest.raises(DataError, match="'gap' has no value"):
        plots.plot_distribution(values, label="gap")


def test_levels_are_drawn_from_above_with_the_others_in_grey() -> None:
    axes = plots.plot_levels(["b$", "a"], np.array([5, 2]), label="letter", n_others=3)

    assert [text.get_text() for text in axes.get_yticklabels()] == ["b\\$", "a", "(others)"]
    assert [bar.get_width() for bar in axes.patches] == [5, 2, 3]
    assert [to_hex(bar.get_facecolor()) for bar in axes.patches] == [BLUE, BLUE, GREY]
    assert axes.yaxis_inverted()


def test_levels_need_as_many_counts() -> None:
    with pytest.raises(DataError, match="1 levels and 2 counts"):
        plots.plot_levels(["a"], np.array([1, 2]), label="letter")


def test_the_rug_shows_where_rows_are_within_the_curve() -> None:
    observed = np.array([-5.0, 1.0, 2.0, 9.0, np.nan])

    axes = plots.plot_dependence(
        np.array([0.0, 4.0]), np.array([1.0, 3.0]), label="wind", observed=observed
    )

    curve, rug = axes.lines
    assert curve.get_ydata().tolist() == [1, 3]
    assert rug.get_xdata().tolist() == [1, 2]


def test_a_rug_of_many_rows_is_thinned_evenly() -> None:
    observed = GENERATOR.random(10_000)

    axes = plots.plot_dependence(np.array([0.0, 1.0]), np.ones(2), label="x", observed=observed)

    ticks = axes.lines[1].get_xdata()
    assert 250 <= len(ticks) <= 300
    assert np.quantile(ticks, 0.5) == pytest.approx(0.5, abs=0.03)


def test_a_dependence_that_hardly_moves_does_not_fill_the_picture() -> None:
    axes = plots.plot_dependence(np.arange(3.0), np.array([100.0, 100.01, 100.0]), label="x")

    low, high = axes.get_ylim()
    assert high - low > 2


def test_several_outputs_have_a_line_each_with_a_name() -> None:
    predicted = np.array([[0.2, 0.8], [0.4, 0.6]])

    axes = plots.plot_dependence(np.arange(2.0), predicted, label="x", outputs=["no", "yes"])

    assert [line.get_ydata().tolist() for line in axes.lines] == [[0.2, 0.4], [0.8, 0.6]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["no", "yes"]


def test_bars_of_levels_begin_at_the_overall_mean() -> None:
    axes = plots.plot_dependence_on_levels(
        ["a", "b"], np.array([3.0, 6.0]), label="letter", overall=5.0
    )

    assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(5, -2), (5, 1)]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first level is above


def test_several_outputs_of_levels_are_marks_told_apart_by_shape() -> None:
    predicted = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])

    axes = plots.plot_dependence_on_levels(
        ["a", "b"], predicted, label="letter", outputs=["x", "y", "z"]
    )

    assert len(axes.lines) == 3
    assert len({line.get_marker() for line in axes.lines}) == 3
    assert axes.lines[2].get_xdata().tolist() == [0.3, 0.8]


def test_names_of_levels_do_not_overlap_on_the_picture() -> None:
    levels = [f"a level with a long name {number}" for number in range(14)]

    axes = plots.plot_dependence_on_levels(
        levels, GENERATOR.random(14), label="level", counts=np.full(14, 12_345)
    )

    figure = figure_of(axes)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.get_yticklabels()]
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])
    assert all(box.x0 >= figure.bbox.x0 for box in boxes)
