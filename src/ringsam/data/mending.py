"""`ringsam check --fix`: the slips that have one mend alone."""

import json
import shutil
from pathlib import Path

from ringsam.data.annotations import find_annotations, read_annotations
from ringsam.data.boxes import box_numbers
from ringsam.data.findings import RowProblem, finding_lines
from ringsam.errors import InputError
from ringsam.files import replaced, write_atomically


def swap_inverted(data: Path) -> int:
    """Swap the corners of inverted boxes in the JSON, of which a copy stays beside it; how many.

    Raises InputError for JSON that could not be written again as it was meant, or not at all.
    """
    source = find_annotations(data)
    read = read_annotations(source)
    if read.findings:
        raise InputError(f"{source}: cannot be mended by a program:", finding_lines(read.findings))
    rows = [row for row in read.annotations if isinstance(row, dict)]
    swapped = sum(_swap(row, name) for row in rows for name in ("big_box", "small_box"))
    if swapped:
        before = source.with_name(f"{source.name}.before_fix")
        if not before.exists():  # one of an earlier fix is the labels as they came
            with replaced(before) as unfinished:
                shutil.copy2(source, unfinished)
        write_atomically(source, json.dumps(read.content, ensure_ascii=False, indent=1) + "\n")
    return swapped


def _swap(row: dict[str, object], name: str) -> bool:
    try:
        x1, y1, x2, y2 = box_numbers(name, row.get(name))
    except RowProblem:  # told by the check
        return False
    upright = [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]
    if upright == [x1, y1, x2, y2]:
        return False
    row[name] = upright
    return True
