"""Attention: what is hidden stays hidden, with a hook or a cache as without."""

import torch
from torch.testing import assert_close

from minit2i.layers import Attention, TransformerBlock


def test_a_hook_that_changes_nothing_changes_nothing():
    torch.manual_seed(0)
    layer, x, context = Attention(16, 4, context_width=8), torch.randn(2, 5, 16), torch.randn(2, 3, 8)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    seen = []
    with torch.no_grad():
        plain = layer(x, context, mask)
        hooked = layer(x, context, mask, hook=lambda weights: seen.append(weights) or weights)
    assert_close(hooked, plain)
    assert seen[0].shape == (2, 4, 5, 8) and not seen[0][0, :, :, 7].any() and not seen[0][1, :, :, 6:].any()
    assert_close(seen[0].sum(-1), torch.ones(2, 4, 5))


def test_a_hook_does_not_make_the_future_visible():
    torch.manual_seed(0)
    layer, x = Attention(16, 4), torch.randn(2, 5, 16)
    seen = []
    with torch.no_grad():
        hooked = layer(x, causal=True, hook=lambda weights: seen.append(weights) or weights)
        assert_close(hooked, layer(x, causal=True))
    assert not seen[0].triu(1).any()


def test_read_in_pieces_with_a_cache_is_read_at_once():
    torch.manual_seed(0)
    block, x, cache = TransformerBlock(16, 4).eval(), torch.randn(2, 7, 16), []
    with torch.no_grad():
        pieces = [block(part, causal=True, cache=cache) for part in x.split([3, 1, 2, 1], dim=1)]
        assert_close(torch.cat(pieces, dim=1), block(x, causal=True))
    assert len(cache) == 1 and cache[0][0].shape == (2, 4, 7, 4)
