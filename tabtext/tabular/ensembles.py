"""Networks that were trained one after the other and predict together."""

from collections.abc import Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.tabular.members import Combine, TabM, combine_members
from tabtext.tabular.models import EntityEmbeddingMLP, TabularEncoder

__all__ = ["NETWORKS", "NetworkEnsemble"]

NETWORKS: dict[str, type[TabM] | type[EntityEmbeddingMLP]] = {
    "tabm": TabM,
    "mlp": EntityEmbeddingMLP,
}
"""The single networks for tables, by name."""


class NetworkEnsemble(nn.Module):
    """Several trained networks whose mean predicts: of folds, or of seeds.

    It is for prediction only; its networks are trained each for itself.

    **Shape**

    - Input: ``(rows, n_categorical)``, any integer dtype, and ``(rows, n_continuous)``, finite.
    - Output: ``(rows, n_outputs)``, logits or values.

    Parameters
    ----------
    networks
        At least one; all for the same columns and outputs.
    combine
        How the networks' outputs become one, see ``combine_members``.

    Examples
    --------
    >>> networks = [TabM(TabularEncoder([4], n_continuous=2), 1, combine="values") for _ in "ab"]
    >>> ensemble = NetworkEnsemble(networks, combine="values").eval()
    >>> ensemble(torch.tensor([[2], [3]]), torch.randn(2, 2)).shape
    torch.Size([2, 1])
    """

    def __init__(self, networks: Sequence[TabM | EntityEmbeddingMLP], *, combine: Combine) -> None:
        super().__init__()
        if not networks:
            raise ParameterError("an ensemble needs at least one network")
        self.networks = nn.ModuleList(networks)
        self.combine = combine

    @property
    def encoder(self) -> TabularEncoder:
        """The encoder of the first network; vectors of different networks have no common axes."""
        return cast("TabM | EntityEmbeddingMLP", self.networks[0]).encoder

    def forward(self, categorical: Tensor, continuous: Tensor) -> Tensor:
        """Return raw outputs that predict the mean of what the networks predict."""
        raws = [network(categorical, continuous) for network in self.networks]
        return combine_members(torch.stack(raws, dim=1), self.combine)

    def config(self) -> dict[str, Any]:
        """Return what ``from_config`` needs, ready for JSON."""
        names = {kind: name for name, kind in NETWORKS.items()}
        networks = [cast("TabM | EntityEmbeddingMLP", network) for network in self.networks]
        return {
            "combine": self.combine,
            "networks": [{"network": names[type(n)], "model": n.config()} for n in networks],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build an ensemble of the same networks; its values come with ``load_state_dict``."""
        networks = [NETWORKS[n["network"]].from_config(n["model"]) for n in config["networks"]]
        return cls(networks, combine=config["combine"])
