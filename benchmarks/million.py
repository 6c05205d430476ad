"""P15: the labels of very many images: what a reader's memory grows by, and when its first batch is there.

The images are few, under many names. A first reading judges every image by its header, which no format of labels can spare it,
and leaves an index, which a later reading maps from disk.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from benchmarks.figures import Figure, Options

_IN_A_FOLDER, _SIDE = 1000, 64
_BIG, _SMALL = (8.0, 8.0, 56.0, 56.0), (24.0, 24.0, 40.0, 40.0)

# In a process of its own, whose memory nothing else moved: MB at the peak above before, seconds until the first batch.
_READ = """
import sys, time
from pathlib import Path
from torch.utils.data import DataLoader
from ringsam.batch import collate
from ringsam.data.dataset import TwoBoxDataset, read_two_boxes
from ringsam.sam.preprocess import Preprocess
def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(name))
before, start = memory("VmRSS"), time.perf_counter()
data = read_two_boxes(Path(sys.argv[1])).with_objects()
images = TwoBoxDataset(data.images, Preprocess(256), with_masks=data.has_masks)
next(iter(DataLoader(images, batch_size=4, shuffle=True, collate_fn=collate)))
print(memory("VmHWM") - before, time.perf_counter() - start)
"""


def million_images(options: Options) -> Iterator[Figure]:
    """A first and a later reading of a million images."""
    with tempfile.TemporaryDirectory() as folder:
        data = write_set(Path(folder) / "many", 1_000_000)
        for reading in ("first", "later"):
            grown, seconds = read_apart(data)
            what = f"the {reading} reading of 1,000,000 images"
            yield Figure("P15", f"{what}, memory grows by", grown, " MB", at_most=200)
            yield Figure("P15", f"{what}, first batch after", seconds, " s", at_most=5)


def write_set(folder: Path, num_images: int) -> Path:
    """One object an image, the images of a folder also found in all others."""
    first = folder / "images" / "0000"
    first.mkdir(parents=True)
    for i in range(_IN_A_FOLDER):
        Image.new("RGB", (_SIDE, _SIDE), (i % 256, i // 256, 0)).save(first / f"{i:04d}.png")
    for i in range(1, num_images // _IN_A_FOLDER):
        (folder / "images" / f"{i:04d}").symlink_to("0000")
    images = (f'{{"id": {i}, "file_name": "{_name(i)}"}}' for i in range(num_images))
    boxes = f'"big_box": {[*_BIG]}, "small_box": {[*_SMALL]}'
    objects = (f'{{"id": {i}, "image_id": {i}, {boxes}}}' for i in range(num_images))
    with (folder / "two_boxes.json").open("w") as file:
        file.write('{"images": [' + ",\n".join(images))
        file.write('], "annotations": [' + ",\n".join(objects) + "]}")
    return folder


def read_apart(folder: Path) -> tuple[float, float]:
    command = [sys.executable, "-c", _READ, str(folder)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    grown, seconds = map(float, shown.stdout.split())
    return grown, seconds


def _name(index: int) -> str:
    return f"{index // _IN_A_FOLDER:04d}/{index % _IN_A_FOLDER:04d}.png"
