"""Dropouts of texts share their masks as they promise."""

import pytest
import torch
from torch import Tensor

from tabtext.dropout import fill_dropout_mask
from tabtext.text.encoder.dropout import embed_words, locked_dropout


def a_mask(*shape: int, rate: float, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    torch.manual_seed(seed)
    return fill_dropout_mask(torch.empty(shape, dtype=dtype), rate)


# ------------------------------------------------------------------------------ locked dropout


def test_a_locked_mask_is_the_same_at_every_step_and_another_in_every_row() -> None:
    mask = a_mask(4, 50, rate=0.5)

    dropped = locked_dropout(torch.ones(7, 4, 50), mask)

    assert all(torch.equal(step, mask) for step in dropped)
    assert not any(torch.equal(mask[0], row) for row in mask[1:])


def test_a_locked_mask_masks_the_gradient_alike() -> None:
    mask = a_mask(4, 50, rate=0.5)
    sequence = torch.randn(7, 4, 50, requires_grad=True)

    locked_dropout(sequence, mask).sum().backward()

    assert sequence.grad is not None
    assert torch.equal(sequence.grad, mask.expand(7, 4, 50))


def test_without_a_mask_the_sequence_stays_itself() -> None:
    sequence = torch.ones(7, 4, 5)

    assert locked_dropout(sequence, None) is sequence


def test_a_locked_mask_leaves_the_sequences_type() -> None:
    dropped = locked_dropout(torch.ones(7, 4, 5, dtype=torch.bfloat16), a_mask(4, 5, rate=0.5))

    assert dropped.dtype == torch.bfloat16


# --------------------------------------------------------------------------- embedding dropout

TOKENS = torch.tensor([[3, 1], [3, 2], [0, 3]])


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_words_are_looked_up(dtype: torch.dtype) -> None:
    weight = torch.randn(5, 4)

    assert torch.equal(embed_words(TOKENS.to(dtype), weight), weight[TOKENS])


def test_a_dropped_word_is_zero_wherever_it_occurs_and_others_are_scaled() -> None:
    weight = torch.randn(5, 4)
    word_mask = torch.tensor([1.25, 0.0, 1.25, 0.0, 1.25])

    vectors = embed_words(TOKENS, weight, word_mask=word_mask)

    assert torch.equal(vectors, (weight * word_mask[:, None])[TOKENS])


def test_words_and_features_are_dropped_together() -> None:
    weight = torch.randn(5, 4)
    word_mask = torch.tensor([1.25, 0.0, 1.25, 0.0, 1.25])
    locked_mask = a_mask(2, 4, rate=0.5)

    vectors = embed_words(TOKENS, weight, word_mask=word_mask, locked_mask=locked_mask)

    expected = (weight * word_mask[:, None])[TOKENS] * locked_mask
    assert torch.equal(vectors, expected)


def test_the_gradient_of_dropped_words_and_features_passes_gradcheck() -> None:
    weight = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    word_mask = torch.tensor([1.25, 0.0, 1.25, 0.0, 1.25], dtype=torch.float64)
    locked_mask = a_mask(2, 4, rate=0.5, dtype=torch.float64)

    def forward(weight: Tensor) -> Tensor:
        return embed_words(TOKENS, weight, word_mask=word_mask, locked_mask=locked_mask)

    assert torch.autograd.gradcheck(forward, (weight,))


def test_looking_up_leaves_the_embedding_matrix_alone() -> None:
    weight = torch.randn(5, 4)
    before = weight.clone()

    embed_words(TOKENS, weight, word_mask=torch.zeros(5), locked_mask=torch.zeros(2, 4))

    assert torch.equal(weight, before)
