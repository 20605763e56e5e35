"""How the tabular estimators train: what ``FoldedTraining`` asks of tables without texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
from torch import Tensor, nn

from tabtext.estimators import network
from tabtext.estimators.folded_training import FoldedTraining
from tabtext.estimators.inputs import Sample
from tabtext.estimators.samples import EncodedSample, PreparedRows
from tabtext.tabular.encoding import Encoded
from tabtext.tabular.ensembles import NetworkEnsemble
from tabtext.tabular.preprocessing import reads_any_table
from tabtext.training.devices import choose_device
from tabtext.training.options import TrainingOptions

if TYPE_CHECKING:
    from tabtext.training.batches import Batches
    from tabtext.training.callbacks import Callback
    from tabtext.training.checkpoint import Checkpoints
    from tabtext.training.trainer import Trainer

__all__ = ["TabularTraining"]


@dataclass(kw_only=True, eq=False, repr=False)
class TabularTraining(FoldedTraining[Encoded]):
    """From encoded rows to trained networks; ``TabularEstimator`` does all else."""

    def __sklearn_tags__(self) -> Any:
        return reads_any_table(super().__sklearn_tags__())

    def _learn_features(self, sample: Sample) -> Encoded:
        self.preprocessor_ = self.new_preprocessor()
        encoded = self.preprocessor_.fit_encode(
            sample.table, targets=sample.targets, weight=sample.weight_column
        )
        self.schema_ = self.preprocessor_.schema_
        self.feature_names_in_ = self.preprocessor_.feature_names_in_
        return encoded

    def _features(self, data: Any) -> Encoded:
        return self.preprocessor_.encode(data, who=type(self).__name__)

    def _as_rows(self, data: Any) -> pa.Table:
        return self.preprocessor_.read(data, who=type(self).__name__)

    def _new_trainer(
        self,
        rows: PreparedRows[Encoded],
        options: TrainingOptions,
        callbacks: "Sequence[Callback]",
        checkpoints: "Checkpoints | None",
    ) -> "tuple[Trainer, nn.Module]":
        from tabtext.estimators.network_training import build_model, new_trainer

        n_rows = len(rows.train)
        model = build_model(
            self.network_options(n_rows),
            self.preprocessor_,
            rows.train,
            self.target_,
            seed=options.seed,
        )
        model = model.to(choose_device(self.device))
        trainer = new_trainer(
            model,
            self.target_,
            self._row_loss(),
            rows.valid,
            options=options,
            callbacks=callbacks,
            checkpoints=checkpoints,
            settings=self._settings_of_run(n_rows),
        )
        return trainer, model

    def _batches(
        self, sample: EncodedSample[Encoded], model: nn.Module, batch_size: int | None = None
    ) -> "Batches":
        from tabtext.estimators.network_training import batches_of

        rows_at_once = network.ROWS_PER_PREDICTION if batch_size is None else batch_size
        inputs = network.input_tensors(sample.encoded)
        return batches_of(sample, inputs, model, rows_at_once, shuffle=batch_size is not None)

    def _raw_by(self, model: nn.Module, features: Encoded) -> Tensor:
        return network.raw_outputs(model, network.input_tensors(features))

    def _adopt(self, models: Sequence[nn.Module]) -> nn.Module:
        networks = cast("Sequence[network.TabularNetwork]", models)
        self.model_: network.TabularNetwork | NetworkEnsemble = networks[0]
        if len(networks) > 1:
            how = network.combination_for(self.target_)
            self.model_ = NetworkEnsemble(networks, combine=how).eval()
        return self.model_
