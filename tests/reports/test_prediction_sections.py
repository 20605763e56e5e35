"""Sections that say how far predictions are to be trusted."""

import numpy as np
import pytest

from tabtext.reports.classification_sections import classification_section
from tabtext.reports.comparison import metric_label
from tabtext.reports.regression_sections import regression_section
from tabtext.training.calibration import expected_calibration_error, with_temperature

GENERATOR = np.random.default_rng(0)


def test_a_regression_section_states_what_intervals_hold_and_how_wide_they_are() -> None:
    truth = np.arange(100.0)
    wide = np.stack([truth - 1, np.where(truth < 88, truth + 2, truth - 0.5)], axis=1)
    bounds = {0.5: np.stack([truth, truth], axis=1), 0.9: wide}

    section = regression_section("Delay", truth, truth, unit="min", intervals=bounds)

    assert section.text == [
        "Intervals that were to hold 90% of the rows hold 88.0%; their mean width is 2.7 min. They "
        "are made of the errors on the validation rows, and hold as asked only for rows that are "
        "like those."
    ]
    assert section.pictures[-1].caption.startswith("Intervals")


def test_without_intervals_a_regression_section_says_nothing_of_them() -> None:
    section = regression_section("Delay", np.arange(9.0), np.arange(9.0), unit="min")

    assert not section.text
    assert len(section.pictures) == 2


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_a_classification_section_states_the_error_with_and_without_the_temperature(
    temperature: float,
) -> None:
    before = GENERATOR.random(200)
    truth = GENERATOR.random(200) < before
    after = with_temperature(before, temperature)

    section = classification_section("Late", truth, after, ("no", "yes"), temperature=temperature)

    assert f"by {expected_calibration_error(truth, after):.4f} in the mean" in section.text[0]
    stated_before = f"gave, by {expected_calibration_error(truth, before):.4f}." in section.text[0]
    assert stated_before == (temperature != 1)


def test_the_calibration_error_has_a_name() -> None:
    assert metric_label("calibration_error") == "calibration error"
