"""What every estimator of the library does with disk, and with what an earlier fit left."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from sklearn.utils.validation import check_is_fitted

from tabtext.errors import ArtifactError
from tabtext.estimators import storage
from tabtext.training.distributed import first_process_only

__all__ = ["SavedEstimator"]


class SavedEstimator(ABC):
    """An estimator that is saved as an artifact directory; ``card_`` marks it as fitted."""

    @abstractmethod
    def place_model(self) -> None:
        """Move what was fitted to the device that the parameter ``device`` names."""

    def save(self, directory: str | Path) -> None:
        """Write the fitted model as an artifact directory: JSON, Arrow and safetensors, no pickle.

        Of several processes that torchrun started, the first one writes. Its README.md is the
        model's card; ``card_`` takes what you want to add to it, such as ``"license"``,
        ``"corpus"`` or ``"attribution"``. What stood under this name is replaced as a whole.

        Raises
        ------
        SaveError
            If the disk is full or the place is taken; nothing half-written is left.
        """
        check_is_fitted(self, "card_")
        first_process_only(lambda: storage.save(self, Path(directory)))

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Read a model that ``save`` wrote. No code from the directory is run.

        Raises
        ------
        MissingFileError
            If there is no model.
        ArtifactError
            If the model is damaged, newer than this version, or of another kind.
        """
        loaded = storage.load(Path(directory))
        if not isinstance(loaded, cls):
            raise ArtifactError(
                f"{directory} holds a {type(loaded).__name__}, not a {cls.__name__}; "
                "use tabtext.load, or the class that saved it"
            )
        return loaded

    def _forget_fit(self) -> None:
        """Forget what an earlier fit learned: a later one that fails leaves no mixture of both."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
