"""Single fields of a JSON row."""

from collections.abc import Mapping

from ringsam.data.findings import RowProblem, shown

Row = Mapping[str, object]
Size = tuple[int, int]  # (height, width) of an image as displayed

_INT64 = 2**63


def fields_of(row: object) -> Row:
    if not isinstance(row, dict):
        raise RowProblem(f"is {short_text(row)}, not a JSON object", "take it out")
    return row


def whole_number(fields: Row, key: str) -> int:
    value = fields.get(key)
    if type(value) is not int or not -_INT64 <= value < _INT64:
        found = (
            "missing" if value is None else f"{short_text(value)}, not a whole number of 64 bits"
        )
        raise RowProblem(f"{key} is {found}", "give it a whole number")
    return value


def short_text(value: object) -> str:
    words = shown(value) if isinstance(value, str) else ascii(value)
    return words if len(words) <= 120 else words[:117] + "..."
