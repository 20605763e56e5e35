"""scikit-learn's manners over schema, preprocessing, model, trainer and artifact."""

from tabtext.estimators.augmentation import Augmentation
from tabtext.estimators.storage import load
from tabtext.estimators.tabular import TabularClassifier, TabularRegressor

__all__ = ["Augmentation", "TabularClassifier", "TabularRegressor", "load"]
