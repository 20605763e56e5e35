"""Hyper-parameter search: many short trainings, the bad ones ended early, one table at the end.

``tune`` walks the road: a study is opened or continued, trials are taken until there are as many as
were asked for, each fits a copy of the estimator on the same rows, and the best is told. The search
is Optuna's (``pip install 'tabtext[tune]'``), which is imported when a search begins.
"""

from tabtext.tuning.result import TuningResult
from tabtext.tuning.search import tune
from tabtext.tuning.search_space import SearchSpace

__all__ = ["SearchSpace", "TuningResult", "tune"]
