"""Prompt policies: two boxes in, a SAM prompt out. SAM has no two-box prompt."""

import torch

from ringsam.batch import Batch
from ringsam.config import TrainingPrompts
from ringsam.draws import Draws
from ringsam.geometry import box_centers, sample_box_points, sample_ring_points
from ringsam.method.ranks import from_first_rank
from ringsam.sam.model import Prompts


def make_prompts(
    batch: Batch, policy: TrainingPrompts, *, num_points: int, draws: Draws
) -> Prompts:
    """One prompt an object, drawn once and shared by teacher and student."""
    return _POLICIES[policy](batch, num_points, draws)


def ring_prompts(batch: Batch, num_points: int, draws: Draws) -> Prompts:
    """Points between the two boxes, all labelled object: the seed's prompt."""
    uniform = draws.uniform(batch.object_ids, 3 * num_points, "ring").unflatten(1, (num_points, 3))
    points = sample_ring_points(batch.small_boxes, batch.big_boxes, uniform)
    return Prompts(points=points, labels=torch.ones_like(points[..., 0], dtype=torch.int))


def box_prompts(batch: Batch, num_points: int, draws: Draws) -> Prompts:
    """The big box."""
    return Prompts(boxes=batch.big_boxes)


def core_prompts(batch: Batch, num_points: int, draws: Draws) -> Prompts:
    """The big box, the small box's centre and further points in the small box, labelled object."""
    uniform = draws.uniform(batch.object_ids, 2 * (num_points - 1), "core").unflatten(1, (-1, 2))
    others = sample_box_points(batch.small_boxes, uniform)
    points = torch.cat([box_centers(batch.small_boxes)[:, None], others], dim=1)
    labels = torch.ones_like(points[..., 0], dtype=torch.int)
    return Prompts(points=points, labels=labels, boxes=batch.big_boxes)


def mixed_prompts(batch: Batch, num_points: int, draws: Draws) -> Prompts:
    """The big box alone in half of the batches, box and core in the others, so that the model learns to answer both.

    The first object of the whole batch, on whichever rank, decides.
    """
    first = batch.object_ids[:1] if batch.num_objects else batch.object_ids.new_zeros(1)
    with_core = bool(draws.uniform(from_first_rank(first.clone()), 1, "mixed") < 0.5)
    return (core_prompts if with_core else box_prompts)(batch, num_points, draws)


_POLICIES = {
    "ring": ring_prompts,
    "box": box_prompts,
    "box+core": core_prompts,
    "mixed": mixed_prompts,
}
