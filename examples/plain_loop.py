"""The method in a bare PyTorch loop, for those who bring their own trainer.

python examples/plain_loop.py DATA [EPOCHS] [WEIGHTS] [RECIPE]
"""

import sys
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from ringsam.batch import collate
from ringsam.config import read_recipe
from ringsam.data.dataset import TwoBoxDataset, read_two_boxes
from ringsam.draws import Draws
from ringsam.method.adaptation import Adaptation
from ringsam.sam.preprocess import Preprocess
from ringsam.sam.weights import load_sam, save_folder
from ringsam.training.optim import parameter_groups


def main(
    data: Path, epochs: int, weights: str, recipe: str = "best", out: Path | None = None
) -> list[float]:
    """Adapt, print the mean loss of each epoch and, with `out`, save what `SamModel.from_pretrained` loads."""
    config = read_recipe(recipe)
    sam = load_sam(weights)
    adaptation = Adaptation(sam, config.method, seed=config.seed)
    optimizer = torch.optim.AdamW(parameter_groups(adaptation, config.optim))
    images = read_two_boxes(data).with_objects().images
    dataset = TwoBoxDataset(
        images,
        Preprocess(sam.input_size),
        with_masks=False,
        with_colours=config.method.asks_colours,
    )
    order = torch.Generator().manual_seed(config.seed)
    loader = DataLoader(dataset, config.optim.batch_size, True, generator=order, collate_fn=collate)
    means = []
    for epoch in range(epochs):
        losses = []
        for batch in loader:
            output = adaptation.step(batch, Draws(config.seed, epoch))
            optimizer.zero_grad()
            if output.signal:  # else weight decay alone would move the weights
                output.loss.backward()
                optimizer.step()
                adaptation.update_teacher()
            losses.append(output.loss.detach().item())
        means.append(sum(losses) / len(losses))
        print(f"epoch {epoch + 1}: loss {means[-1]:.4f}")
    if out is not None:
        adaptation.use_encoder(adaptation.kept_encoder())
        save_folder(sam, out)
    return means


if __name__ == "__main__":
    given, *rest = sys.argv[1:]
    num_epochs, sam_weights, named = (*rest, *("3", "nano", "best")[len(rest) :])
    main(Path(given), int(num_epochs), sam_weights, named)
