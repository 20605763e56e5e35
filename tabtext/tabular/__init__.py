"""Tables: what the columns are, how they become numbers, and the networks that read them."""

from tabtext.tabular.encoding import Encoded
from tabtext.tabular.preprocessing import TabularPreprocessor
from tabtext.tabular.schema import Role, Schema, infer_schema
from tabtext.tabular.statistics import TableStatistics

__all__ = [
    "Encoded",
    "Role",
    "Schema",
    "TableStatistics",
    "TabularPreprocessor",
    "infer_schema",
]
