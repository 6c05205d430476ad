"""The EMA teacher: the student's slow average, always in eval, never in a graph."""

import copy

import torch
from torch import Tensor, nn

from ringsam.method.tower import Features, Tower


class EmaTeacher(nn.Module):
    """teacher = decay * teacher + (1 - decay) * student, in fp32, over the trainable weights (Tarvainen 2017)."""

    def __init__(self, student: Tower, *, ema_decay: float) -> None:
        super().__init__()
        self.ema_decay = ema_decay
        self.tower = copy.deepcopy(student).float().requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "EmaTeacher":
        """Stays in eval: BatchNorm must not learn from the teacher's pass."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, trunk: Tensor) -> Features:
        features: Features = self.tower(trunk)
        return features

    @torch.no_grad()
    def update(self, student: Tower) -> None:
        """One step towards the student; frozen weights are left alone, buffers (BatchNorm's statistics) are copied."""
        pairs = zip(self.tower.parameters(), student.parameters(), strict=True)
        moving = [(own, new.float()) for own, new in pairs if new.requires_grad]
        own_weights, new_weights = map(list, zip(*moving, strict=True))
        torch._foreach_lerp_(own_weights, new_weights, 1 - self.ema_decay)
        for own, new in zip(self.tower.buffers(), student.buffers(), strict=True):
            own.copy_(new)
