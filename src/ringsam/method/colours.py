"""What an object's own colours say of the pixels between its two boxes.

Two small mixtures of Gaussians an object, one of its inside and one of what lies around it, as GrabCut has them (Rother 2004);
but soft, and begun from what is believed of each pixel already instead of a hard ring. Where both know the same colours they
say nothing, and the belief stays as it was.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from ringsam.batch import Batch
from ringsam.geometry import Boxes, grow_boxes

SoftMasks = Float[Tensor, "n h w"]
Weights = Float[Tensor, "n p"]
Terms = Float[Tensor, "n p 10"]  # 1, the three channels, their squares, their products
Mixture = Float[Tensor, "n 2 10"]  # log densities of two Gaussians, linear in the terms

_SIDE = 64  # pixels of an object's window: about as fine as the decoder draws it
_MARGIN = 0.3  # of the big box's side, on each side: what lies around the object
_ROUNDS = 2  # of fitting and believing; in each, as many of expectation maximisation
_VARIANCE = 0.01  # added to each channel's own, in SAM's normalised colours
_UNSURE = 0.02  # no belief and no fit is surer than this
_MOST = 6.0  # log odds that colours can tell


class Windows(NamedTuple):
    """Each object's surroundings, brought to the same number of pixels a side."""

    boxes: Boxes  # in the input frame
    terms: Terms
    on_image: Bool[Tensor, "n p"]
    core: Bool[Tensor, "n p"]
    outside: Bool[Tensor, "n p"]


@torch.no_grad()
def follow_colours(belief: SoftMasks, batch: Batch, *, weight: float) -> SoftMasks:
    """The belief with each pixel's log odds moved by `weight` times what the object's colours say of it.

    Says nothing of pixels beyond the big box; no gradient comes from here.
    """
    if not batch.num_objects:
        return belief  # torch cannot resample no maps
    with torch.autocast(belief.device.type, enabled=False):
        windows = windows_of(batch)
        frame = torch.zeros_like(windows.boxes)
        frame[:, 2:] = batch.images.shape[-1]
        seen = resample(belief.float(), source=frame, onto=windows.boxes, side=_SIDE)
        moved = move_odds(seen.flatten(1), windows, weight=weight).unflatten(1, (_SIDE, -1))
        grid = belief.shape[-1]
        fine = resample(moved, source=windows.boxes, onto=frame, side=2 * grid)
        return F.avg_pool2d(fine, 2)


def windows_of(batch: Batch) -> Windows:
    """Colours and certainty of the pixels in and around each big box, in the input frame."""
    boxes = window_boxes(batch)
    x, y = fine_places(boxes, side=_SIDE)
    last = batch.images.shape[-1] - 1
    column, row = (place.long().clamp(0, last) for place in (x, y))
    of_object = batch.image_index[:, None, None]
    picked = batch.images[of_object, :, row[:, :, None], column[:, None, :]]  # (n, h, w, 3)
    return make_windows(picked.permute(0, 3, 1, 2).float(), boxes, batch)


def window_boxes(batch: Batch) -> Boxes:
    return grow_boxes(batch.big_boxes, _MARGIN)


def fine_places(boxes: Boxes, *, side: int) -> tuple[Float[Tensor, "n f"], Float[Tensor, "n f"]]:
    """Columns and rows at which windows of `side` pixels are looked at: two to a pixel."""
    return _places(boxes, side=2 * side)


def make_windows(fine: Float[Tensor, "n 3 f f"], boxes: Boxes, batch: Batch) -> Windows:
    """The windows of these colours, in SAM's normalisation, seen at their `fine_places`."""
    colours = F.avg_pool2d(fine, 2)
    side = colours.shape[-1]
    extent = batch.extents[batch.image_index].flip(1).to(boxes)
    image = torch.cat([torch.zeros_like(extent), extent], dim=1)
    return Windows(
        boxes,
        _terms(colours.flatten(2).mT),
        on_image=_within(image, boxes, side=side),
        core=_within(batch.small_boxes, boxes, side=side),
        outside=~_within(batch.big_boxes, boxes, side=side),
    )


def fit_mixture(terms: Terms, weights: Weights) -> Mixture:
    """Two Gaussians by expectation maximisation of the weighted pixels, begun with the two halves along their main axis."""
    _, mean, covariance = _gaussians(weights[:, None] @ terms)
    axis = torch.linalg.matrix_power(covariance / covariance.norm(dim=(2, 3), keepdim=True), 16)
    far = (terms[..., 1:4] - mean) @ axis.sum(dim=3).mT  # (n, p, 1)
    shares = torch.cat([far > 0, far <= 0], dim=-1).float()
    for _ in range(_ROUNDS):
        mixture = _densities(*_gaussians((shares * weights[..., None]).mT @ terms))
        shares = (terms @ mixture.mT).softmax(dim=-1)
    return mixture


def move_odds(belief: Weights, windows: Windows, *, weight: float) -> Weights:
    """The belief with its log odds moved; in the fits a pixel counts by the square of what is believed of it.

    So that the many of which little is believed do not blur the few that are sure.
    """
    before = log_odds(belief)
    known, core = windows.core | windows.outside, windows.core.float()
    on_image = windows.on_image.float()
    for _ in range(_ROUNDS):
        belief = torch.where(known, core, belief)
        inside = fit_mixture(windows.terms, belief.square() * on_image)
        around = fit_mixture(windows.terms, (1 - belief).square() * on_image)
        told = _log_density(windows.terms, inside) - _log_density(windows.terms, around)
        belief = (before + weight * told.clamp(-_MOST, _MOST)).sigmoid()
    return belief


def log_odds(belief: Tensor) -> Tensor:
    """Of probabilities of any shape, none of them taken for surer than 0.98."""
    return belief.clamp(_UNSURE, 1 - _UNSURE).logit()


def _log_density(terms: Terms, mixture: Mixture) -> Weights:
    return (terms @ mixture.mT).logsumexp(dim=-1)


def _terms(colours: Float[Tensor, "n p 3"]) -> Terms:
    red, green, blue = colours.unbind(dim=-1)
    one = torch.ones_like(red)
    squares = (red * red, green * green, blue * blue)
    products = (red * green, red * blue, green * blue)
    return torch.stack([one, red, green, blue, *squares, *products], dim=-1)


def _gaussians(
    moments: Float[Tensor, "n k 10"],
) -> tuple[Float[Tensor, "n k 1"], Float[Tensor, "n k 3"], Float[Tensor, "n k 3 3"]]:
    """Counts, means and covariances, from weighted sums of the terms."""
    count = moments[..., :1].clamp(min=_UNSURE)
    mean, seconds = moments[..., 1:4] / count, moments[..., 4:] / count
    xx, yy, zz, xy, xz, yz = seconds.unbind(dim=-1)
    square = torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], dim=-1).unflatten(-1, (3, 3))
    covariance = square - mean[..., None] * mean[..., None, :]
    return count, mean, covariance + _VARIANCE * torch.eye(3, device=moments.device)


def _densities(
    count: Float[Tensor, "n k 1"],
    mean: Float[Tensor, "n k 3"],
    covariance: Float[Tensor, "n k 3 3"],
) -> Float[Tensor, "n k 10"]:
    """Log of each Gaussian's share and density, as factors of the terms."""
    root = torch.linalg.cholesky_ex(covariance).L  # positive by what was added
    precision = torch.cholesky_inverse(root)
    pull = (precision @ mean[..., None])[..., 0]
    spread = root.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1, keepdim=True)
    share = (count / count.sum(dim=1, keepdim=True)).log()
    at_zero = share - spread - (pull * mean).sum(dim=-1, keepdim=True) / 2
    squares = -precision.diagonal(dim1=-2, dim2=-1) / 2
    products = -torch.stack([precision[..., i, j] for i, j in ((0, 1), (0, 2), (1, 2))], dim=-1)
    return torch.cat([at_zero, pull, squares, products], dim=-1)


def _places(boxes: Boxes, *, side: int) -> tuple[Float[Tensor, "n s"], Float[Tensor, "n s"]]:
    """Columns and rows of the pixels' centres, when each box is cut into `side` by `side`."""
    centers = (torch.arange(side, device=boxes.device) + 0.5) / side
    corner, extent = boxes[:, :2, None], (boxes[:, 2:] - boxes[:, :2])[:, :, None]
    x, y = (corner + centers * extent).unbind(dim=1)
    return x, y


def _within(boxes: Boxes, windows: Boxes, *, side: int) -> Bool[Tensor, "n p"]:
    """Which of the windows' `side` by `side` pixels have their centre in the box."""
    x, y = _places(windows, side=side)
    across = (x > boxes[:, 0:1]) & (x < boxes[:, 2:3])
    down = (y > boxes[:, 1:2]) & (y < boxes[:, 3:4])
    return (down[:, :, None] & across[:, None, :]).flatten(1)


def resample(
    maps: SoftMasks, *, source: Boxes, onto: Boxes, side: int
) -> Float[Tensor, "n side side"]:
    """The maps, each of which spans its `source`, read at `side` by `side` places of `onto`, bilinearly."""
    corner, extent = source[:, :2, None], (source[:, 2:] - source[:, :2])[:, :, None]
    x, y = ((torch.stack(_places(onto, side=side), dim=1) - corner) / extent * 2 - 1).unbind(dim=1)
    places = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), dim=-1)
    found = F.grid_sample(maps[:, None], places, padding_mode="border", align_corners=False)
    return found[:, 0]
