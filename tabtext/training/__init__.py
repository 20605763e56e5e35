"""Training: batches on the device, one loop, and each practice in a module beside it.

Nothing here knows of columns or tokens; every model of the library is trained by this ``Trainer``.
The names below load on first use: a model that only predicts needs few of the modules.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tabtext.training.batches import Batch, Batches, TensorBatches
    from tabtext.training.callbacks import Callback
    from tabtext.training.checkpoint import Checkpoints
    from tabtext.training.history import Epoch, History
    from tabtext.training.loggers import CSVLogger, MLflowLogger, TensorBoardLogger
    from tabtext.training.lr_finder import LearningRateCurve, find_learning_rate
    from tabtext.training.options import Phase, TrainingOptions, gradual_unfreezing
    from tabtext.training.prediction import predict
    from tabtext.training.progress import ProgressBar
    from tabtext.training.sequence_length import GrowingSequences
    from tabtext.training.streaming import StreamedBatches
    from tabtext.training.trainer import Trainer

__all__ = [
    "Batch",
    "Batches",
    "CSVLogger",
    "Callback",
    "Checkpoints",
    "Epoch",
    "GrowingSequences",
    "History",
    "LearningRateCurve",
    "MLflowLogger",
    "Phase",
    "ProgressBar",
    "StreamedBatches",
    "TensorBatches",
    "TensorBoardLogger",
    "Trainer",
    "TrainingOptions",
    "find_learning_rate",
    "gradual_unfreezing",
    "predict",
]

_HOMES = {
    "Batch": "batches",
    "Batches": "batches",
    "CSVLogger": "loggers",
    "Callback": "callbacks",
    "Checkpoints": "checkpoint",
    "Epoch": "history",
    "GrowingSequences": "sequence_length",
    "History": "history",
    "LearningRateCurve": "lr_finder",
    "MLflowLogger": "loggers",
    "Phase": "options",
    "ProgressBar": "progress",
    "StreamedBatches": "streaming",
    "TensorBatches": "batches",
    "TensorBoardLogger": "loggers",
    "Trainer": "trainer",
    "TrainingOptions": "options",
    "find_learning_rate": "lr_finder",
    "gradual_unfreezing": "options",
    "predict": "prediction",
}


def __getattr__(name: str) -> Any:
    """Import a public name on its first use (PEP 562)."""
    if name in _HOMES:
        return getattr(import_module(f"tabtext.training.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
