"""What a user can set of a tabular estimator, and the options of each stage that follow from it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sklearn.base import RegressorMixin

from tabtext.errors import ParameterError
from tabtext.estimators.defaults import (
    choose_batch_size,
    choose_dropout,
    choose_epochs,
    choose_hidden,
    choose_patience,
)
from tabtext.estimators.network import NetworkOptions
from tabtext.estimators.parameter_checks import (
    require_bool,
    require_choice,
    require_share,
    require_whole,
    require_widths,
)
from tabtext.estimators.presets import PRESETS, PresetName
from tabtext.estimators.training_parameters import TrainingParameters
from tabtext.tabular.activations import ActivationName
from tabtext.tabular.dates import DateParts
from tabtext.tabular.ensembles import NETWORKS
from tabtext.tabular.parametrizations import Parametrization
from tabtext.tabular.preprocessing import TabularPreprocessor

__all__ = ["TabularParameters"]


@dataclass(kw_only=True, eq=False, repr=False)
class TabularParameters(TrainingParameters):
    """The parameters that ``TabularClassifier`` and ``TabularRegressor`` share.

    Parameters
    ----------
    preset : {"fast", "default", "best"}
        What a fit may cost, by what parameters mean that are left at ``"auto"``: ``"fast"`` is one
        small network for few epochs, ``"best"`` five networks of the default (see ``presets``).
    n_folds : int or "auto"
        With more than 1, rows are dealt into so many folds; for each a network learns from the
        others and has its best epoch chosen by this one, and all predict together; no further
        ``validation_fraction`` is set aside. With ``validation``, every network learns from all
        rows, and only seeds differ. Folds are dealt
        at random: where rows of one group or one time belong together, give ``validation``.
        Time limits are for all networks together; loggers keep the last one's run.
    learning_rate : float, tuple of float or "auto"
        Peak of the schedule, see below; ``"auto"`` is what the preset says.
    patience : int, "auto" or None
        Epochs without improvement of the monitor after which training ends; ``"auto"`` is 12, or
        None where the end of the schedule counts (see ``defaults``).
    roles : mapping of str to str, optional
        Column -> ``"categorical"``, ``"continuous"``, ``"datetime"`` or ``"ignore"``, where the
        inferred role is wrong.
    exclude : sequence of str
        Columns that the model must not see.
    date_parts : bool, "auto" or sequence of str
        Parts that stand for dates: all of ``tabtext.tabular.dates.PARTS``, none, or these;
        ``"auto"`` leaves out what few rows cannot teach (see ``tabtext.tabular.date_choice``).
    prune : sequence of str or Rule
        Rules of ``tabtext.tabular.outliers`` for training rows; text such as ``"Sales > 0"`` keeps
        the rows where it holds.
    missing : {"median", "mean", "constant", "signal"}
        What fills gaps in continuous columns; ``"constant"`` takes ``fill_value``, ``"signal"`` a
        value outside the column's range.
    fill_value : float
        See ``missing``.
    missing_indicators : bool
        Add a 0/1 column for every continuous column with gaps in training.
    scaling : {"standard", "robust", "quantile", "none"}
        How continuous columns are scaled.
    min_count : int
        Categories with fewer training rows share the code of unseen ones.
    network : {"tabm", "mlp"}
        An ensemble whose members share most weights and train together, or one multi-layer
        perceptron.
    n_members : int or "auto"
        Members of ``"tabm"``.
    hidden : sequence of int, or "auto"
        Width of each hidden layer, of each member; ``"auto"`` depends on the network, on what it
        predicts, and on the number of training rows (see ``defaults``).
    dropout : float or "auto"
        Share of each hidden layer's outputs set to zero in training; ``"auto"`` depends on what the
        network predicts (see ``defaults``).
    embedding_widths : mapping of str to int, optional
        Width of single columns' embeddings; the others follow ``embedding_width``.
    embedding_dropout : float
        Share of the embeddings' elements set to zero in training.
    unseen_rate : float
        Share of known categories that training replaces by "unseen", so that its vector is learned.
    one_hot_up_to : int
        Categorical columns with at most so many categories become indicators, with one more for
        missing and one for unseen, instead of embeddings; those of ``embedding_widths`` keep their
        embedding.
    numeric_embedding : {"none", "piecewise_linear", "periodic"}
        What continuous columns become: their scaled value, or a vector that lets the first layer
        bend at bins or repeat in waves.
    bins : {"auto", "tree", "quantile"}
        Where piecewise-linear bins come from: a decision tree on the target per column, or
        quantiles; ``"auto"`` takes for each column what tells more of a fifth of the training rows
        that neither has seen.
    n_bins : int
        Largest number of bins per column.
    numeric_width : int or "auto"
        Width of each continuous column's vector.
    feature_scales : bool
        Multiply every input of the first hidden layer by a learned factor.
    activation : str
        What follows each hidden layer: ``"relu"``, ``"leaky_relu"``, ``"gelu"``, ``"selu"``,
        ``"mish"``; with something learned for each unit ``"prelu"``, ``"parametric_selu"``,
        ``"parametric_mish"``.
    parametrization : {"standard", "ntp"}
        ``"ntp"`` is the neural tangent parametrization: weights of about unit size, times ``1 /
        sqrt(inputs)``. It asks for a higher learning rate.
    spectral_norm : bool
        Divide the weight of each hidden layer by its largest singular value.
    dropout_schedule : {"constant", "flat_cosine"}
        Whether dropout fades in the second half of training.
    **training
        All further parameters are those of ``TrainingParameters``.
    """

    preset: PresetName = "default"
    n_folds: int | Literal["auto"] = "auto"
    learning_rate: float | tuple[float, ...] | Literal["auto"] = "auto"  # type: ignore[assignment]
    patience: int | Literal["auto"] | None = "auto"  # type: ignore[assignment]  # one more word
    roles: Mapping[str, str] | None = None
    exclude: Sequence[str] = ()
    date_parts: DateParts = "auto"
    prune: Sequence[Any] = ()
    missing: Literal["median", "mean", "constant", "signal"] = "median"
    fill_value: float = 0.0
    missing_indicators: bool = True
    scaling: Literal["standard", "robust", "quantile", "none"] = "standard"
    min_count: int = 1
    network: Literal["tabm", "mlp"] = "tabm"
    n_members: int | Literal["auto"] = "auto"
    hidden: Sequence[int] | Literal["auto"] = "auto"
    dropout: float | Literal["auto"] = "auto"
    embedding_widths: Mapping[str, int] | None = None
    embedding_dropout: float = 0.0
    unseen_rate: float = 0.01
    one_hot_up_to: int = 0
    numeric_embedding: Literal["none", "piecewise_linear", "periodic"] = "piecewise_linear"
    bins: Literal["auto", "tree", "quantile"] = "auto"
    n_bins: int = 128
    numeric_width: int | Literal["auto"] = "auto"
    feature_scales: bool = False
    activation: ActivationName = "relu"
    parametrization: Parametrization = "standard"
    spectral_norm: bool = False
    dropout_schedule: Literal["constant", "flat_cosine"] = "constant"

    def check_parameters(self) -> None:
        """Raise ``ParameterError`` for what no later stage would notice before work begins."""
        require_choice("preset", self.preset, tuple(PRESETS))
        for name in ("patience", "learning_rate"):
            if isinstance(getattr(self, name), str):
                require_choice(name, getattr(self, name), ("auto",))
        super().check_parameters()
        for name in ("n_folds", "n_members", "n_bins", "numeric_width"):
            if not (name in _MAY_BE_AUTO and _is_auto(getattr(self, name))):
                require_whole(name, getattr(self, name), smallest=1)
        if self.snapshots and self.count_networks() > 1:
            raise ParameterError(
                f"snapshots=True and {self.count_networks()} networks (n_folds={self.n_folds!r}, "
                f"preset={self.preset!r}): both make several models of one; choose either"
            )
        require_whole("one_hot_up_to", self.one_hot_up_to, smallest=0)
        self.new_preprocessor().check_parameters()
        self._check_widths_of_embeddings()
        if not isinstance(self.prune, Iterable):
            raise ParameterError(
                f"prune={self.prune!r} must be a list of rules, such as ['Sales > 0']"
            )
        for name in ("feature_scales", "spectral_norm"):
            require_bool(name, getattr(self, name))
        require_choice("bins", self.bins, ("auto", "tree", "quantile"))
        require_choice("network", self.network, tuple(NETWORKS))
        require_choice("activation", self.activation, get_args(ActivationName))
        require_choice("parametrization", self.parametrization, get_args(Parametrization))
        if not _is_auto(self.hidden):
            require_widths("hidden", self.hidden)
        if not _is_auto(self.dropout):
            require_share("dropout", self.dropout)
        for name in ("embedding_dropout", "unseen_rate"):
            require_share(name, getattr(self, name))

    def _check_widths_of_embeddings(self) -> None:
        if self.embedding_widths is None:
            return
        if not isinstance(self.embedding_widths, Mapping):
            raise ParameterError(
                f"embedding_widths={self.embedding_widths!r} must be a mapping of columns to "
                "widths, such as {'Store': 10}, or None"
            )
        for column, width in self.embedding_widths.items():
            require_whole(f"embedding_widths[{column!r}]", width, smallest=1)

    def new_preprocessor(self) -> TabularPreprocessor:
        """An unfitted preprocessor."""
        return TabularPreprocessor(
            roles=self.roles,
            exclude=self.exclude,
            date_parts=self.date_parts,
            missing=self.missing,
            fill_value=self.fill_value,
            missing_indicators=self.missing_indicators,
            scaling=self.scaling,
            min_count=self.min_count,
        )

    def count_networks(self) -> int:
        """How many networks ``fit`` trains: one, or one for every fold."""
        return int(self._settled("n_folds"))

    def network_options(self, n_rows: int) -> NetworkOptions:
        """The shape of the network for so many training rows."""
        return NetworkOptions(
            network=self.network,
            n_members=self._settled("n_members"),
            hidden=self._hidden_widths(n_rows),
            dropout=self._dropout_share(),
            embedding_widths=self.embedding_widths,
            embedding_dropout=self.embedding_dropout,
            unseen_rate=self.unseen_rate,
            numeric_embedding=self.numeric_embedding,
            bins=self.bins,
            n_bins=self.n_bins,
            numeric_width=self._settled("numeric_width"),
            one_hot_up_to=self.one_hot_up_to,
            feature_scales=self.feature_scales,
            activation=self.activation,
            parametrization=self.parametrization,
            spectral_norm=self.spectral_norm,
        )

    def _settled(self, name: str) -> Any:
        """A parameter's value, which ``"auto"`` leaves to the preset."""
        given = getattr(self, name)
        return getattr(PRESETS[self.preset], name) if _is_auto(given) else given

    def _peak_rate(self) -> float | tuple[float, ...]:
        rate: float | tuple[float, ...] = self._settled("learning_rate")
        return rate

    def _auto_batch_size(self, n_rows: int) -> int:
        return choose_batch_size(n_rows, factor=PRESETS[self.preset].batch_factor)

    def _auto_epochs(self, n_rows: int) -> int:
        return choose_epochs(n_rows, factor=PRESETS[self.preset].epochs_factor)

    def _training_defaults(self) -> dict[str, Any]:
        return {**super()._training_defaults(), "dropout_schedule": self.dropout_schedule}

    def _patience(self) -> int | None:
        if isinstance(self.patience, str):
            return choose_patience(self.schedule, self.averaging, snapshots=self.snapshots)
        return self.patience

    def _hidden_widths(self, n_rows: int) -> tuple[int, ...]:
        if isinstance(self.hidden, str):
            if (of_preset := PRESETS[self.preset].hidden) is not None:
                return of_preset
            regression = isinstance(self, RegressorMixin)
            return choose_hidden(self.network, n_rows, regression=regression)
        return tuple(self.hidden)

    def _dropout_share(self) -> float:
        if isinstance(self.dropout, str):
            return choose_dropout(regression=isinstance(self, RegressorMixin))
        return self.dropout


_MAY_BE_AUTO = ("n_folds", "n_members", "numeric_width")


def _is_auto(value: object) -> bool:
    return isinstance(value, str) and value == "auto"
