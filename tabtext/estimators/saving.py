"""What every estimator of the library does with disk, and with what an earlier fit left."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

from sklearn.utils.validation import check_is_fitted

from tabtext.errors import ArtifactError
from tabtext.estimators import pretrained, storage
from tabtext.estimators.pretrained import pretrained_directory
from tabtext.training.distributed import first_process_only

__all__ = ["SavedEstimator"]


class SavedEstimator(ABC):
    """An estimator that is saved as an artifact directory; ``card_`` marks it as fitted."""

    card_: dict[str, Any]

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

    def save_pretrained(self, directory: str | Path) -> None:
        """Write the fitted model for others to use: ``save``, by the name that Hugging Face has.

        Parameters
        ----------
        directory : str or Path
            Where it will stand; ``from_pretrained`` reads it, and so it does as a repository of
            the Hugging Face Hub with the same files.

        Raises
        ------
        SaveError
            As ``save``.
        """
        self.save(directory)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, *, revision: str | None = None) -> Self:
        """Read a model that ships with tabtext, one that ``save`` wrote, or one of the Hub.

        No code of the files is run, wherever they are from.

        Parameters
        ----------
        name_or_path : str or Path
            The first of these that there is: a name, such as ``"english-small"``, for its newest
            version (see ``tabtext.estimators.pretrained.pretrained_names``; language models only);
            a directory; a repository of the Hugging Face Hub, ``"user/name"``, which needs
            ``pip install 'tabtext[hub]'``, and of which only the files of an artifact are fetched.
        revision : str, optional
            Branch, tag or commit of the repository.

        Raises
        ------
        ParameterError
            If there is nothing of this name, or a package is missing.
        MissingFileError, ArtifactError
            As ``load``; also if the Hub does not hand the repository out.
        """
        directory = pretrained_directory(name_or_path, revision=revision)
        model = cls.load(directory)
        if directory.parent == pretrained.SHIPPED:  # those who begin from it say so by its name
            model.card_["name"] = directory.name
        return model

    def _forget_fit(self) -> None:
        """Forget what an earlier fit learned: a later one that fails leaves no mixture of both."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
