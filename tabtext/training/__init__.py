"""Training: batches on the device, one loop, and each practice in a module beside it.

Nothing here knows of columns or tokens; every model of the library is trained by this ``Trainer``.
"""

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
