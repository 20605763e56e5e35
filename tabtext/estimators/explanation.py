"""Why a text got its prediction: what each of its tokens speaks for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tabtext.errors import ParameterError, did_you_mean
from tabtext.estimators.classifier_training import in_direction
from tabtext.estimators.voting import Voters
from tabtext.text.classifier import TextClassifierNetwork
from tabtext.text.documents import Documents
from tabtext.text.explanation import ContributionMethod, require_method, token_contributions
from tabtext.training.targets import ClassificationTarget, Target

__all__ = ["Explanation", "contributions_to", "output_number", "output_weights"]


@dataclass(frozen=True, eq=False)
class Explanation:
    """What every token of a text contributes to a prediction.

    ``tabtext.plots.coloured_html`` and ``coloured_text`` show it.

    Parameters
    ----------
    tokens : tuple of str
        The text as the network reads it, ``xxbos`` and ``xxeos`` included; words that it does not
        know are as they were written.
    contributions : float32 array of shape (tokens,)
        Positive where a token speaks for ``output``: in logits for classes and labels, the class
        against the mean of the others; in the unit of the network's output for quantities.
    output : str
        What is explained: a class, a label, or the target.
    predicted : float
        Probability of the class or label, or the quantity.
    restore : callable
        The preprocessor's way from tokens back to text.
    """

    tokens: tuple[str, ...]
    contributions: NDArray[np.float32]
    output: str
    predicted: float
    restore: Callable[[Sequence[str]], str]


def contributions_to(
    output: int,
    voters: Voters,
    document: Documents,
    target: Target,
    method: ContributionMethod,
) -> NDArray[np.float32]:
    """Return what each token of a document contributes to an output, in all models that vote.

    In the network it is the mean over directions. A linear model is a sum over tokens; an n-gram's
    part in it is shared by its tokens.

    Parameters
    ----------
    output : int
        Which of the network's outputs.
    voters : Voters
        The models.
    document : Documents
        A single one, forward.
    target : Target
        What the outputs mean. Of classes only differences do: what raises all logits changes no
        probability, so the mean of the other classes is subtracted.
    method : {"gradient", "occlusion"}
        How the network is explained; see ``tabtext.text.explanation.token_contributions``.
    """
    weights = output_weights(output, target)
    require_method(method)  # of networks, which may have no vote
    total = np.zeros(document.n_tokens, np.float32)
    for name, vote in voters.heard.items():
        if name in voters.linear:
            found = voters.linear[name].contributions(document) @ weights
        else:
            found = _of_networks(voters.networks, document, weights, method)
        total += np.float32(vote) * found
    return total


def output_weights(output: int, target: Target) -> NDArray[np.float32]:
    """Return how much each raw output counts in what is explained; see ``contributions_to``.

    Examples
    --------
    >>> output_weights(0, ClassificationTarget("kind", ("a", "b", "c")))
    array([ 1. , -0.5, -0.5], dtype=float32)
    """
    weights = np.zeros(target.n_outputs, np.float32)
    weights[output] = 1.0
    if isinstance(target, ClassificationTarget):
        weights[np.arange(target.n_outputs) != output] = -1.0 / (target.n_outputs - 1)
    return weights


def _of_networks(
    networks: Mapping[str, TextClassifierNetwork],
    document: Documents,
    weights: NDArray[np.float32],
    method: ContributionMethod,
) -> NDArray[np.float32]:
    """The mean over directions, token by token in the order of the text."""
    found = []
    for direction, network in networks.items():
        ids = in_direction(document, direction)[0]
        one = token_contributions(network, ids, weights, method=method)
        if direction == "backward":  # the words between the first and the last token are reversed
            one[1:-1] = one[-2:0:-1]
        found.append(one)
    return np.asarray(np.mean(found, axis=0, dtype=np.float32))


def output_number(target: Target, output: Any, predicted: NDArray[Any]) -> tuple[int, str]:
    """Return the number of an output, and its name.

    Parameters
    ----------
    target : Target
        What the network predicts.
    output : class, label or name of a target, or None
        None stands for the likeliest class or label, or the first quantity.
    predicted : ndarray of shape (n_outputs,)
        ``target.outputs`` of the text.

    Raises
    ------
    ParameterError
        If there is no such output.
    """
    known = list(target.classes if isinstance(target, ClassificationTarget) else target.names)
    names = [str(name) for name in known]  # a command line can only spell the class 1 or True
    if output is None:
        number = 0 if target.task == "regression" else int(predicted.argmax())
    elif str(output) in names:
        number = names.index(str(output))
    else:
        raise ParameterError(
            f"output={output!r} is not one of {', '.join(map(repr, known))}"
            f"{did_you_mean(str(output), names)}"
        )
    return number, names[number]
