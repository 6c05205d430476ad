"""What the commands' arguments have in common: those without a flag, by the names that `--help` and errors give them."""

from pathlib import Path
from typing import Annotated

import tyro

Data = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
Images = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGES")]
Labels = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="LABELS")]
Root = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="ROOT")]
Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
