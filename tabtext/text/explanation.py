"""Why a document got its output: how much each of its tokens speaks for it, and how much against.

A network and a document's token ids go in; one signed number per token comes out.
"""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.text.encoder.awd_lstm import AWDLSTM
from tabtext.text.special_tokens import UNKNOWN_ID

__all__ = ["ContributionMethod", "JudgesDocuments", "require_method", "token_contributions"]

ContributionMethod = Literal["gradient", "occlusion"]


class JudgesDocuments(Protocol):
    """What can be explained, such as ``TextClassifierNetwork``."""

    @property
    def encoder(self) -> AWDLSTM:
        """What reads the documents."""

    @property
    def n_outputs(self) -> int:
        """Number of raw outputs."""

    def eval(self) -> Any:
        """Put it into evaluation mode, without dropout."""

    def judge(self, encoder: AWDLSTM, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return the raw outputs of documents as this encoder reads them."""


@torch.inference_mode(mode=False)  # what is made in it could have no gradients
def token_contributions(
    network: JudgesDocuments,
    ids: npt.ArrayLike,
    output: int | npt.ArrayLike = 0,
    *,
    method: ContributionMethod = "gradient",
    rows_at_once: int = 64,
) -> npt.NDArray[np.float32]:
    """Return how much each token of a document contributes to one of the network's raw outputs.

    Positive numbers raise the output (for a classifier, the logit of the class). They are in its
    unit and not normalised. They need not add up to it: what several words say together is counted
    for none of them or for each, and what the network says of an empty text for none.

    Parameters
    ----------
    network : JudgesDocuments
        A ``TextClassifierNetwork``, or another network over an encoder. Is put into evaluation
        mode, without dropout.
    ids : array of int, shape (length,)
        The document, ``xxbos`` and ``xxeos`` included.
    output : int, or array of float of shape (n_outputs,)
        Which of the raw outputs; or how much each of them counts in the sum that is explained, such
        as 1 and -1 for one class against another.
    method : {"gradient", "occlusion"}
        ``"gradient"``: the gradient of the output with respect to the token's vector, times that
        vector; three or four times the work of a prediction. It fades where the network is sure of
        itself and small changes change nothing. ``"occlusion"``: how much the output falls when the
        token becomes the unknown word, which is nothing for a word that is unknown; dependable, but
        as many predictions as there are tokens, a thousand for a long review.
    rows_at_once : int
        Copies of the document that are predicted in one batch, for ``"occlusion"``.

    Returns
    -------
    float32 array of shape (length,)

    Raises
    ------
    ParameterError
        If there is no such output, method, or token.

    References
    ----------
    Li, J., Chen, X., Hovy, E. and Jurafsky, D. (2016), "Visualizing and Understanding Neural Models
    in NLP"; Denil, M., Demiraj, A. and de Freitas, N. (2014), "Extraction of Salient Sentences from
    Labelled Documents" (gradient times input); Zeiler, M. D. and Fergus, R. (2014), "Visualizing
    and Understanding Convolutional Networks" (occlusion).

    Examples
    --------
    >>> from tabtext.text.classifier import TextClassifierNetwork
    >>> from tabtext.text.encoder.awd_lstm import EncoderOptions
    >>> options = EncoderOptions(embedding_width=8, hidden_width=12)
    >>> network = TextClassifierNetwork(AWDLSTM(30, options), n_outputs=2)
    >>> token_contributions(network, [2, 9, 17, 3], output=1).shape
    (4,)
    >>> token_contributions(network, [2, 9, 17, 3], output=[1, -1]).shape
    (4,)
    >>> token_contributions(network, [2, 0, 3], method="occlusion")[1]
    np.float32(0.0)
    """
    require_method(method)
    if rows_at_once < 1:
        raise ParameterError(f"rows_at_once must be at least 1, however: {rows_at_once=}")
    like = network.encoder.embedding.weight
    weights = torch.as_tensor(_weights(output, network.n_outputs)).to(like)
    document = torch.as_tensor(_whole_numbers(ids), device=like.device)
    _require_known(document, network.encoder.vocabulary_size)
    network.eval()
    if not len(document):
        return np.zeros(0, np.float32)
    if method == "gradient":
        found = _gradient_times_input(network, document, weights)
    else:
        found = _fall_when_occluded(network, document, weights, rows_at_once)
    return found.float().cpu().numpy()


def require_method(method: str) -> None:
    """Raise ``ParameterError`` unless this is a method of ``token_contributions``.

    Examples
    --------
    >>> require_method("gradient")
    """
    if method not in get_args(ContributionMethod):
        raise ParameterError(
            f"method must be one of {', '.join(get_args(ContributionMethod))}, however: {method!r}"
        )


def _gradient_times_input(network: JudgesDocuments, document: Tensor, weights: Tensor) -> Tensor:
    """Each vector's product with its gradient."""
    with torch.enable_grad():
        reader = _with_vectors(network.encoder, network.encoder.embedding.weight.detach()[document])
        vectors = reader.embedding.weight
        places = torch.arange(len(document), device=document.device)
        raw = network.judge(reader, places[None], torch.tensor([len(document)]))
        (gradient,) = torch.autograd.grad(raw[0] @ weights, vectors)
        return (gradient * vectors.detach()).sum(dim=1)


def _with_vectors(encoder: AWDLSTM, vectors: Tensor) -> AWDLSTM:
    """The same encoder over a vocabulary of these vectors; its layers are shared.

    With every place of a document as a token of its own, each gets its own gradient, also where a
    word comes twice.
    """
    with torch.device("meta"):  # without values, for all of it is replaced at once
        twin = AWDLSTM.from_config({**encoder.config(), "vocabulary_size": len(vectors)})
    twin.embedding = nn.Embedding(len(vectors), vectors.shape[1], _weight=vectors)
    twin.layers = encoder.layers
    return twin.eval()


@torch.inference_mode()
def _fall_when_occluded(
    network: JudgesDocuments, document: Tensor, weights: Tensor, rows_at_once: int
) -> Tensor:
    """How much lower the output is without each of the tokens."""
    length = len(document)
    encoder = network.encoder
    whole = network.judge(encoder, document[None], torch.tensor([length]))[0] @ weights
    falls = torch.zeros(length, dtype=whole.dtype, device=document.device)
    for places in torch.split((document != UNKNOWN_ID).nonzero()[:, 0], rows_at_once):
        copies = document.repeat(len(places), 1)
        copies.scatter_(1, places[:, None], UNKNOWN_ID)
        raw = network.judge(encoder, copies, torch.full((len(places),), length))
        falls[places] = whole - raw @ weights
    return falls


def _weights(output: int | npt.ArrayLike, n_outputs: int) -> npt.NDArray[np.float64]:
    """How much each output counts."""
    given: npt.NDArray[Any] = np.asarray(output)
    weights = np.zeros(n_outputs)
    if given.dtype.kind in "iu" and given.shape == () and 0 <= given < n_outputs:
        weights[given] = 1.0
        return weights
    if given.dtype.kind in "iuf" and given.shape == (n_outputs,) and np.isfinite(given).all():
        weights[:] = given
        return weights
    raise ParameterError(
        f"output must be a number in [0, {n_outputs}), for that is how many outputs the network "
        f"has, or a finite weight for each of them, however: {output=}"
    )


def _whole_numbers(ids: npt.ArrayLike | Sequence[int]) -> npt.NDArray[np.int64]:
    given: npt.NDArray[Any] = np.asarray(ids)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise ParameterError(
            "ids must be whole numbers in one dimension, however: "
            f"{given.dtype} of shape {given.shape}"
        )
    return given.astype(np.int64)


def _require_known(document: Tensor, vocabulary_size: int) -> None:
    bad = document[(document < 0) | (document >= vocabulary_size)]
    if len(bad):
        raise ParameterError(
            f"token {int(bad[0])} is not among the {vocabulary_size} that the network knows; "
            "number the text with the vocabulary that it was trained with"
        )
