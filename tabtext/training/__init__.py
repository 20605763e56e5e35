"""Training: batches on the device, one loop, schedules, losses, metrics and targets.

Nothing here knows of columns or tokens; every model of the library is trained by this ``Trainer``.
"""

from tabtext.training.batches import Batch, TensorBatches
from tabtext.training.history import Epoch, History
from tabtext.training.trainer import Trainer, TrainingOptions

__all__ = ["Batch", "Epoch", "History", "TensorBatches", "Trainer", "TrainingOptions"]
