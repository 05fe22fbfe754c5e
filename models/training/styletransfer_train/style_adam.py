"""Adam (Kingma and Ba 2015) for parameters that have a row for each style: only the rows of a batch's styles move.

With plain Adam a row whose style is not in the batch has a gradient of 0. It is moved on by its momentum, and its second moment
fades, so that the next step is several times as long as the learning rate says.
"""
import torch

BETAS = (0.8, 0.98)
"""Each style has few steps: its moments follow faster than those of the shared weights."""
EPSILON = 1e-8


class StyleAdam(torch.optim.Optimizer):
    """Parameters `[styles, ...]`; `step(rows)` moves the rows of the styles that are named."""

    def __init__(self, parameters):
        super().__init__(parameters, {"lr": 1e-3})

    @torch.no_grad()
    def step(self, rows):
        rows = sorted(set(rows))
        for group in self.param_groups:
            for parameter in (p for p in group["params"] if p.grad is not None):
                self._move(parameter, rows, group["lr"])

    def _move(self, parameter, rows, rate):
        state = self.state[parameter]
        if not state:
            state.update(first=torch.zeros_like(parameter), second=torch.zeros_like(parameter), steps=torch.zeros(len(parameter)))
        state["steps"][rows] += 1
        for row in rows:
            gradient, first, second = parameter.grad[row], state["first"][row], state["second"][row]
            first.lerp_(gradient, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
            steps = float(state["steps"][row])
            scale = rate / (1 - BETAS[0] ** steps)
            parameter[row].addcdiv_(first, (second / (1 - BETAS[1] ** steps)).sqrt_().add_(EPSILON), value=-scale)
