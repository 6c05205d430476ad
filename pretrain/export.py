"""Writes trained weights as the model folder that ships: half precision, with its image processor's settings and its hash.

python -m pretrain.export --weights runs/nano-384/weights --out src/ringsam/assets/nano
"""

import argparse
import hashlib
import json
from pathlib import Path

from pretrain.batches import PIXEL_MEAN, PIXEL_STD
from pretrain.model import load


def processor_settings(image_size: int) -> dict[str, object]:
    """What `SamImageProcessor` needs to know: the longest side to scale to, the square to pad to, mean and spread."""
    mask_size = image_size // 2
    return {
        "image_processor_type": "SamImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"longest_edge": image_size},
        "mask_size": {"longest_edge": mask_size},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [mean / 255 for mean in PIXEL_MEAN],
        "image_std": [spread / 255 for spread in PIXEL_STD],
        "do_pad": True,
        "pad_size": {"height": image_size, "width": image_size},
        "mask_pad_size": {"height": mask_size, "width": mask_size},
    }


def export(weights: Path, out: Path, *, image_size: int) -> str:
    """Write the folder; return the SHA-256 of its `model.safetensors`."""
    load(weights, image_size=image_size).half().save_pretrained(out)
    settings = processor_settings(image_size)
    (out / "preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()


def main() -> None:
    """Export as the command line says and print the hash."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--weights", type=Path, required=True, help="the folder that training wrote"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--image-size", type=int, default=320)
    options = parser.parse_args()
    print(export(options.weights, options.out, image_size=options.image_size))


if __name__ == "__main__":
    main()
