"""CLIP's loss where a text fits more than one picture."""

import torch
from torch.testing import assert_close

from minit2i.clip import contrastive_loss
from minit2i.train.clip import many_right_loss


def test_with_one_right_answer_each_the_loss_is_the_contrastive_one():
    scores = torch.randn(6, 6, generator=torch.Generator().manual_seed(0)) * 5
    right = torch.eye(6, dtype=torch.bool)
    assert_close(many_right_loss(scores, right, ~right), contrastive_loss(scores))


def test_right_answers_do_not_compete_and_what_is_neither_counts_for_nothing():
    right = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    scores = torch.tensor([[9.0, 9.0, -9.0], [9.0, 9.0, -9.0], [-9.0, -9.0, 9.0]])
    assert many_right_loss(scores, right, ~right) < 1e-6
    assert contrastive_loss(scores) > 0.4  # where each of the two rows wants one of its right ones only
    scores[0, 2] = scores[2, 0] = 50.0
    assert many_right_loss(scores, right, ~right) > 10
    wrong = ~right
    wrong[0, 2] = wrong[2, 0] = False
    assert many_right_loss(scores, right, wrong) < 1e-6


def test_a_row_without_wrong_answers_is_no_trouble():
    scores = torch.zeros(2, 2, requires_grad=True)
    loss = many_right_loss(scores, torch.ones(2, 2, dtype=torch.bool), torch.zeros(2, 2, dtype=torch.bool))
    loss.backward()
    assert loss == 0
    assert scores.grad.isfinite().all()
