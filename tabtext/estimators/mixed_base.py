"""What the estimators for tables with texts can be asked once they are fitted."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from tabtext.errors import DataError
from tabtext.estimators import network
from tabtext.estimators.explanation import Explanation, output_number, output_weights
from tabtext.estimators.importance import shuffle_table
from tabtext.estimators.mixed_batches import row_tensors
from tabtext.estimators.mixed_training import MixedTraining
from tabtext.estimators.text_inputs import tokens_of_row
from tabtext.mixed.network import ColumnReader
from tabtext.mixed.preprocessing import TEXT, stacked_texts
from tabtext.mixed.rows import MixedRows
from tabtext.tables import as_table
from tabtext.text.explanation import ContributionMethod, require_method, token_contributions
from tabtext.training.devices import choose_device

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TabTextEstimator"]


@dataclass(kw_only=True, eq=False, repr=False)
class TabTextEstimator(MixedTraining):
    """What both estimators do; use ``TabTextClassifier`` or ``TabTextRegressor``.

    Attributes
    ----------
    schema_ : Schema
        What each column is.
    preprocessor_ : MixedPreprocessor
        How columns become numbers, and texts tokens.
    model_ : MixedNetwork
        The network, with the weights of the best epoch.
    snapshots_ : list of dict of str to Tensor
        Weights of its fused half at the end of every cycle, with ``snapshots=True``.
    history_ : History
        Losses and metrics of every epoch in which the encoder was frozen. ``histories_`` has all,
        by name; ``"unfrozen"`` is that of the epochs in which it learned, too.
    calibration_pairs_ : CalibrationPairs or None
        Predictions and truth of validation rows, for a regressor's ``predict_interval``.
    """

    def explain(
        self,
        row: Any,
        *,
        output: Any = None,
        method: ContributionMethod = "gradient",
    ) -> dict[str, Explanation]:
        """Return how much each token of a row's texts speaks for a class, a label or a quantity.

        The other columns count as they are. ``tabtext.plots.coloured_html`` shows an explanation,
        and ``feature_importance`` tells what all columns are worth.

        Parameters
        ----------
        row : mapping of column to value, or table with one row
            All columns of the fit.
        output : class, label or target, optional
            What is explained; default: what is predicted, or the first of several quantities.
        method : {"gradient", "occlusion"}
            See ``tabtext.text.explanation.token_contributions``.

        Returns
        -------
        dict of str to Explanation
            For every column of text; one without tokens where the text is missing.

        Raises
        ------
        ParameterError
            If there is no such output or method.
        DataError
            If this is not one row.
        UnknownColumnError, ColumnTypeError
            If a column is not there, or has another type.
        """
        check_is_fitted(self, "card_")
        require_method(method)
        table = _single_row(row)
        features = self._read_by_model(self._features(table))
        predicted = self.target_.outputs(self._raw_of(features))[0]
        number, name = output_number(self.target_, output, predicted)
        device = next(self.model_.parameters()).device
        tensors = [tensor.to(device) for tensor in row_tensors(features)]
        weights = output_weights(number, self.target_)
        return {
            column: Explanation(
                tokens=self._tokens_of(table, column),
                contributions=token_contributions(
                    ColumnReader(self.model_, place, *tensors),
                    features.texts[place][0],
                    weights,
                    method=method,
                ),
                output=name,
                predicted=float(predicted[number]),
                restore=self.preprocessor_.text.restore,
            )
            for place, column in enumerate(self.preprocessor_.text_columns)
        }

    def embeddings(self, column: str) -> "pd.DataFrame":
        """Return the learned vectors of a categorical column's values, or of a text's words.

        Parameters
        ----------
        column : str
            A categorical column, a part of a date such as ``"Date_month"``, or a column of text.

        Returns
        -------
        DataFrame
            One row per category, the first two being ``"(missing)"`` and ``"(unseen)"``, or per
            token of the vocabulary; one column per dimension.

        Raises
        ------
        ParameterError
            If this is none of these columns.
        """
        import pandas as pd

        check_is_fitted(self, "card_")
        preprocessor = self.preprocessor_
        if column not in preprocessor.text_columns:
            encoder = self.model_.fused.encoder
            return network.embedding_vectors(encoder, preprocessor.tabular, column)
        reader = self.model_.encoder_of(preprocessor.text_columns.index(column))
        tokens = pd.Index(preprocessor.text.vocabulary_.tokens, name=column, dtype=object)
        return pd.DataFrame(reader.word_vectors(), index=tokens)

    def _export(self, directory: Path) -> None:
        from tabtext.export.mixed import export_mixed_model

        export_mixed_model(
            directory,
            estimator=type(self).__name__,
            model=self.model_,
            snapshots=self.snapshots_,
            target=self.target_,
            preprocessor=self.preprocessor_,
        )

    def place_model(self) -> None:
        """Move the network to the device that the parameter ``device`` names."""
        self.model_.to(choose_device(self.device))

    @contextmanager
    def _while_fitting(self) -> Iterator[None]:
        with self._holding_language_model(), self._with_encoders():
            yield

    def _tokens_of(self, table: pa.Table, column: str) -> tuple[str, ...]:
        """The tokens of a row's text as its document has them, unknown words spelled out."""
        texts, missing = stacked_texts(table, [column])
        if missing[0]:
            return ()
        tokens = tokens_of_row(self.preprocessor_.text, texts.select([TEXT]))
        limit = self.preprocessor_.max_tokens
        return tokens if len(tokens) <= limit else (*tokens[: limit - 1], tokens[-1])

    # -- importance of columns ---------------------------------------------------------------

    def _for_shuffling(self, features: MixedRows) -> MixedRows:
        return self._read_by_model(features)

    def _shuffled_names(self) -> list[str]:
        tabular = self.preprocessor_.tabular.positions()
        return [*tabular, *self.preprocessor_.text_columns]

    def _shuffled(self, features: MixedRows, name: str, order: NDArray[np.intp]) -> MixedRows:
        if name not in self.preprocessor_.text_columns:
            positions = self.preprocessor_.tabular.positions()[name]
            tabular = shuffle_table(features.tabular, *positions, order)
            return MixedRows(tabular, features.texts, features.pooled)
        assert features.pooled is not None  # _for_shuffling has seen to it
        column = self.preprocessor_.text_columns.index(name)
        pooled = features.pooled.copy()
        pooled[:, column] = pooled[order, column]
        return features.with_pooled(pooled)


def _single_row(row: Any) -> pa.Table:
    if isinstance(row, Mapping):
        row = {
            name: value if isinstance(value, list | tuple) else [value]
            for name, value in row.items()
        }
    table: pa.Table = as_table(row)
    if table.num_rows != 1:
        raise DataError(f"one row is explained at a time, however: {table.num_rows} were given")
    return table
