"""The shape of an encoder and how it is regularised: every choice in one frozen dataclass."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from tabtext.errors import ParameterError, did_you_mean
from tabtext.text.encoder.recurrent import Cell, Initialisation, initialisation_of

__all__ = ["EncoderOptions"]


@dataclass(frozen=True, kw_only=True)
class EncoderOptions:
    """The shape of an encoder, and how it is regularised.

    The default rates are those of the fast.ai library for language models; their ratio suits most
    texts, and ``dropout_scale`` is what to tune.

    Parameters
    ----------
    cell : {"lstm", "gru", "irnn"}
        See ``RecurrentLayer``.
    embedding_width : int
        Width of the word vectors, and of the last layer, so that a softmax can share them.
    hidden_width : int
        Units of every layer but the last.
    n_layers : int
        Number of layers. The defaults train in minutes on two cores; AWD-LSTM and ULMFiT have
        400, 1,150 and 3.
    embedding_dropout : float
        Share of words whose vector is zero wherever they occur in a batch.
    input_dropout : float
        Share of the features of the word vectors that each row drops at all steps.
    weight_drop : float
        Share of the hidden-to-hidden weights that are dropped.
    hidden_dropout : float
        As ``input_dropout``, between layers.
    output_dropout : float
        As ``input_dropout``, behind the last layer.
    dropout_scale : float
        All five rates are multiplied by it.
    activation_regularisation : float
        Weight of the mean squared output, dropped features included (AR, alpha in the paper).
    temporal_activation_regularisation : float
        Weight of the mean squared change of the raw output from step to step (TAR, beta).
    recurrent_initialisation : {"uniform", "orthogonal", "identity"}, optional
        See ``RecurrentLayer``.

    Raises
    ------
    ParameterError
        If a value is outside those that it may take.

    References
    ----------
    Merity, S., Keskar, N. S. and Socher, R. (2018), "Regularizing and Optimizing LSTM Language
    Models", sections 2 and 4; Merity, S., McCann, B. and Socher, R. (2017), "Revisiting Activation
    Regularization for Language RNNs".

    Examples
    --------
    >>> options = EncoderOptions(hidden_width=600, dropout_scale=0.5)
    >>> options.rates()["input_dropout"]
    0.125
    >>> EncoderOptions.from_dict(options.to_dict()) == options
    True
    """

    cell: Cell = "lstm"
    embedding_width: int = 128
    hidden_width: int = 256
    n_layers: int = 2
    embedding_dropout: float = 0.02
    input_dropout: float = 0.25
    weight_drop: float = 0.2
    hidden_dropout: float = 0.15
    output_dropout: float = 0.1
    dropout_scale: float = 1.0
    activation_regularisation: float = 2.0
    temporal_activation_regularisation: float = 1.0
    recurrent_initialisation: Initialisation | None = None

    def __post_init__(self) -> None:
        """Refuse what no encoder can be."""
        for name in ("embedding_width", "hidden_width", "n_layers"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} must be at least 1, however: {getattr(self, name)}")
        for name in (
            "dropout_scale",
            "activation_regularisation",
            "temporal_activation_regularisation",
        ):
            if not getattr(self, name) >= 0:
                raise ParameterError(f"{name} must not be negative, however: {getattr(self, name)}")
        for name, rate in self.rates().items():
            if not 0 <= rate < 1:
                raise ParameterError(
                    f"{name} times dropout_scale must be in [0, 1), however: "
                    f"{getattr(self, name)} times {self.dropout_scale}"
                )
        initialisation_of(self.cell, self.recurrent_initialisation)

    def rates(self) -> dict[str, float]:
        """Return the five dropout rates by name, scaled."""
        return {
            name: getattr(self, name) * self.dropout_scale
            for name in (
                "embedding_dropout",
                "input_dropout",
                "weight_drop",
                "hidden_dropout",
                "output_dropout",
            )
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the options as values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the options that ``to_dict`` described."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise ParameterError(
                    f"{name!r} is no option of an encoder{did_you_mean(name, known)}; was it saved "
                    "by a newer version?"
                )
        return cls(**values)
