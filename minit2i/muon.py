"""Muon: an optimiser for weight matrices, which learns here in a fraction of AdamW's steps.

A gradient is mostly a few strong directions; AdamW follows those and hardly hears the rest. Muon makes all
directions of an update equally long, so that the faint ones are learnt too. Only matrices have directions:
biases, norms and embeddings stay with AdamW (loop.py).
Sources: Jordan et al. 2024 (Muon), Liu et al. 2025, "Muon is scalable for LLM training" (the update's size).
"""

import torch
from torch import Tensor, nn


def matrices(model: nn.Module) -> list[nn.Parameter]:
    """The weights of linear layers and convolutions, but for thin ones: few directions to even out."""
    layers = (module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d))
    return [layer.weight for layer in layers if min(layer.weight.flatten(1).shape) >= 16]


def orthogonalise(G: Tensor, steps: int = 5) -> Tensor:
    """Make all singular values of G (n, m) about 1 and leave its directions: U S V^T -> U V^T, roughly.

    Five steps of an iteration that needs only products, all of them with the small A = X X^T. They leave most
    singular values between 0.7 and 1.2, and one that was nearly zero below that, which is near enough.
    Source: Jordan et al. 2024.
    """
    X = G / (G.norm() + 1e-7)  # now no singular value is above 1
    if len(X) > len(X.T):
        return orthogonalise(G.T, steps).T  # the smaller A is the cheaper one
    A, Q = X @ X.T, None
    for left in reversed(range(steps)):
        # X <- P X with P = a + b A + c A^2 does the same to every singular value.
        # Q collects the P's, and A becomes P A P, if it is needed once more.
        P = torch.addmm(A, A, A, beta=-4.7750, alpha=2.0315)
        P.diagonal().add_(3.4445)
        Q = P if Q is None else P @ Q
        if left:
            A = P @ A @ P
    return Q @ X


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal. Give it `matrices(model)`; of a convolution, each output channel is a row.

    lr: as for AdamW, since the updates are made as long as AdamW's are. weight_decay: decoupled, as in AdamW.
    """

    def __init__(
        self, parameters: list[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.01
    ):
        super().__init__(
            [{"params": parameters}], {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        )

    @torch.no_grad()
    def step(self) -> None:
        """Change each matrix by its gradient, where it has one."""
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                # m <- mu m + (1 - mu) g, and one step ahead of it: mu m + (1 - mu) g (Nesterov)
                state["momentum"].lerp_(weight.grad, 1 - momentum)
                ahead = weight.grad.lerp(state["momentum"], momentum).flatten(1)
                # An orthogonal n x m matrix has a root mean square of 1 / sqrt(max(n, m)), and AdamW's update
                # one of 0.2.
                update = 0.2 * max(ahead.shape) ** 0.5 * orthogonalise(ahead)
                weight.mul_(1 - lr * group["weight_decay"]).sub_(update.view_as(weight), alpha=lr)
