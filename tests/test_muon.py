"""Muon: updates of one length in all directions, on matrices only."""

import torch
from torch import nn

from minit2i.muon import Muon, matrices, orthogonalise
from minit2i.unet import UNet, UNetConfig


def test_orthogonalising_evens_out_the_singular_values_and_keeps_the_directions():
    for shape in ((20, 50), (50, 20)):
        G = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.1, 10, shape[1])
        U, _, V = torch.linalg.svd(G, full_matrices=False)
        inside = U.T @ orthogonalise(G) @ V.T  # S, if G is U S V^T
        assert inside.diagonal().min() > 0.5 and inside.diagonal().max() < 1.3, shape
        assert (inside - inside.diagonal().diag()).abs().max() < 1e-3, shape


def test_an_update_is_as_long_as_adamws():
    weight = nn.Parameter(torch.zeros(32, 16, 3, 3))
    weight.grad = 1e-4 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    Muon([weight], lr=0.01, weight_decay=0).step()
    assert 0.8 < weight.square().mean().sqrt().item() / (0.2 * 0.01) < 1.2


def test_weight_decay_shrinks_what_has_no_gradient_direction():
    weight = nn.Parameter(torch.ones(16, 16))
    weight.grad = torch.zeros(16, 16)
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(weight.detach(), torch.full((16, 16), 0.95))


def test_matrices_are_the_wide_weights_of_layers_and_nothing_else():
    model = UNet(UNetConfig(picture_size=16, widths=(16, 32)))
    chosen = {id(weight) for weight in matrices(model)}
    for name, parameter in model.named_parameters():
        wide = parameter.ndim >= 2 and min(parameter.flatten(1).shape) >= 16
        assert (id(parameter) in chosen) == wide, name
    assert matrices(nn.Sequential(nn.Embedding(100, 32), nn.LayerNorm(32))) == []
