"""What a user can set of estimators for tables with texts, beyond what tables and texts have."""

from dataclasses import dataclass
from typing import Any, Generic, Literal

from tabtext.errors import ParameterError
from tabtext.estimators.column_inspection import ColumnInspection
from tabtext.estimators.defaults import choose_batch_size
from tabtext.estimators.language_model_start import LanguageModelStart
from tabtext.estimators.parameter_checks import (
    require_bool,
    require_choice,
    require_share,
    require_whole,
)
from tabtext.estimators.presets import PRESETS
from tabtext.estimators.samples import Features
from tabtext.estimators.unfreezing import unfreezing_phases
from tabtext.training.options import Phase, ratio_of

__all__ = ["MixedParameters"]

_EPOCHS_FROM_SCRATCH = 4
_SMALLEST_BATCH = 64  # smaller ones were tried on tables without texts alone


@dataclass(kw_only=True, eq=False, repr=False)
class MixedParameters(ColumnInspection[Features], LanguageModelStart, Generic[Features]):
    """The parameters that ``TabTextClassifier`` and ``TabTextRegressor`` share.

    Parameters
    ----------
    max_tokens : int
        Longer texts are cut behind so many tokens. 256 hold about 200 words; what a text costs
        grows with its length.
    own_encoders : bool
        Whether every column of text is read by an encoder of its own; else one reads all.
    text_width : int
        Width of the vector that each column of text becomes. Wider ones overfit: see
        ``bench/README.md``.
    text_dropout : float
        Share of what the encoder tells of a text that is set to zero in training.
    unfrozen_epochs : int or "auto"
        Epochs in which the encoder learns, too, after all else has learned from what it reads as
        it is. Texts are read anew in each of them, where one reading is enough before. ``"auto"``
        is 0 with a language model, and 4 without.
    unfreezing : {"gradual", "joint"}
        In those epochs, whether the encoder's layers thaw one after the other from the last on, or
        all at once; earlier groups learn more slowly.
    **parameters
        Those of ``tabular_parameters.TabularParameters``,
        ``language_model_start.LanguageModelStart``, ``text_parameters.TextParameters`` and
        ``training_parameters.TrainingParameters``. ``roles`` may be ``"text"`` here;
        ``text_columns`` names those that are to be read, and no others.
    """

    max_tokens: int = 256
    own_encoders: bool = False
    text_width: int = 8
    text_dropout: float = 0.5
    unfrozen_epochs: int | Literal["auto"] = "auto"
    unfreezing: Literal["gradual", "joint"] = "gradual"

    def check_parameters(self) -> None:
        """Raise ``ParameterError`` for what no later stage would notice before work begins."""
        super().check_parameters()
        require_whole("max_tokens", self.max_tokens, smallest=3)
        require_whole("text_width", self.text_width, smallest=1)
        require_bool("own_encoders", self.own_encoders)
        require_share("text_dropout", self.text_dropout)
        require_choice("unfreezing", self.unfreezing, ("gradual", "joint"))
        if self.unfrozen_epochs != "auto":
            require_whole("unfrozen_epochs", self.unfrozen_epochs, smallest=0)
        if self.network != "tabm":
            raise ParameterError(
                f"network={self.network!r} is for tables without texts; those with texts have "
                "network='tabm' (n_members=1 is a single network)"
            )
        if self.direction != "forward":
            raise ParameterError(
                f"direction={self.direction!r}: texts in tables are read forward; leave it out"
            )
        if self.count_unfrozen_epochs() and self.snapshots:
            raise ParameterError(
                "snapshots=True keeps weights of the epochs in which the encoder is frozen; set "
                "unfrozen_epochs=0"
            )
        if self.count_unfrozen_epochs() and self.count_networks() > 1:
            raise ParameterError(
                f"unfrozen_epochs={self.unfrozen_epochs!r} would give each of "
                f"{self.count_networks()} networks (n_folds={self.n_folds!r}, "
                f"preset={self.preset!r}) an encoder of its own; set unfrozen_epochs=0 to let them "
                "share one, or n_folds=1"
            )

    def _auto_batch_size(self, n_rows: int) -> int:
        factor = PRESETS[self.preset].batch_factor
        return choose_batch_size(n_rows, smallest=_SMALLEST_BATCH, factor=factor)

    def count_unfrozen_epochs(self) -> int:
        """How many epochs the encoder learns."""
        if self.unfrozen_epochs != "auto":
            return self.unfrozen_epochs
        return _EPOCHS_FROM_SCRATCH if self._language_model() is None else 0

    def unfrozen_phases(self, n_encoder_groups: int, n_groups: int) -> tuple[Phase, ...]:
        """The recipe of the epochs in which the encoder learns.

        Parameters
        ----------
        n_encoder_groups, n_groups : int
            Layer groups of the encoder, and of the whole network.
        """
        epochs, rate = self.count_unfrozen_epochs(), self._rate_of_unfrozen()
        # Discriminative rates within the encoder; the other half learns at the full rate.
        ratio = ratio_of("text")
        slower = [ratio ** (place - n_encoder_groups) for place in range(n_encoder_groups)]
        factors = [*slower, *[1.0] * (n_groups - n_encoder_groups)]
        thawing = [Phase(epochs=epochs, freeze_to=0, learning_rate=rate)]
        if self.unfreezing == "gradual":
            thawing = list(unfreezing_phases(epochs, n_encoder_groups, rate / 4))
        return tuple(
            Phase(
                epochs=phase.epochs,
                freeze_to=phase.freeze_to,
                learning_rate=tuple(_alone(phase.learning_rate) * factor for factor in factors),
            )
            for phase in thawing
        )

    def _rate_of_unfrozen(self) -> float:
        """A quarter of the rate at which the other half has learned."""
        return _alone(self._peak_rate()) / 4

    def mixed_settings(self) -> dict[str, Any]:
        """What shapes the half of the texts."""
        return {
            "max_tokens": self.max_tokens,
            "own_encoders": self.own_encoders,
            "text_width": self.text_width,
            "text_dropout": self.text_dropout,
        }


def _alone(rate: float | tuple[float, ...] | None) -> float:
    """The rate, or the largest of several."""
    if rate is None:
        raise ParameterError("a phase needs a learning rate")
    return max(rate) if isinstance(rate, tuple) else float(rate)
