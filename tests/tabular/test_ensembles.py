"""Networks that predict together: their mean, and their way to disk and back."""

import json

import numpy as np
import pytest
import torch

from tabtext.errors import ParameterError
from tabtext.tabular.ensembles import NetworkEnsemble
from tabtext.tabular.members import Combine, TabM, combine_members
from tabtext.tabular.models import EntityEmbeddingMLP, TabularEncoder

BATCH = torch.tensor([[2], [3], [0]]), torch.tensor([[0.5], [-1.0], [2.0]])


def networks(combine: Combine) -> list[TabM | EntityEmbeddingMLP]:
    """Two of either kind, whose bins differ in number as those of folds do."""
    torch.manual_seed(0)
    found: list[TabM | EntityEmbeddingMLP] = []
    for n_bins in (2, 3):
        columns = {
            "numeric_embedding": "piecewise_linear",
            "bin_edges": [np.linspace(-2, 2, n_bins + 1)],
        }
        encoder = TabularEncoder([5], 1, **columns)  # type: ignore[arg-type]  # by their names
        found.append(TabM(encoder, 2, combine=combine, hidden=(8,), n_members=2))
        found.append(EntityEmbeddingMLP([5], 1, n_outputs=2, hidden=(8,), **columns))  # type: ignore[arg-type]  # as above
    return [network.eval() for network in found]


@pytest.mark.parametrize("combine", ["classes", "labels", "values"])
def test_the_mean_of_the_networks_predicts(combine: Combine) -> None:
    ensemble = NetworkEnsemble(networks(combine), combine=combine).eval()

    with torch.inference_mode():
        raws = torch.stack([network(*BATCH) for network in ensemble.networks], dim=1)
        torch.testing.assert_close(ensemble(*BATCH), combine_members(raws, combine))


def test_its_config_and_weights_make_the_same_ensemble() -> None:
    ensemble = NetworkEnsemble(networks("classes"), combine="classes").eval()

    other = NetworkEnsemble.from_config(json.loads(json.dumps(ensemble.config())))
    other.load_state_dict(ensemble.state_dict())

    with torch.inference_mode():
        assert torch.equal(other.eval()(*BATCH), ensemble(*BATCH))


def test_one_network_predicts_what_it_predicts_alone() -> None:
    alone = networks("values")[0]

    with torch.inference_mode():
        assert torch.equal(NetworkEnsemble([alone], combine="values")(*BATCH), alone(*BATCH))


def test_no_network_is_no_ensemble() -> None:
    with pytest.raises(ParameterError, match="at least one network"):
        NetworkEnsemble([], combine="values")
