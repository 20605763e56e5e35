"""scikit-learn's manners over schema, preprocessing, model, trainer and artifact."""

from tabtext.estimators.storage import load
from tabtext.estimators.tabular import TabularClassifier, TabularRegressor

__all__ = ["TabularClassifier", "TabularRegressor", "load"]
