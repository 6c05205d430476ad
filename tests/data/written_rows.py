"""Annotation rows as a person would write them."""

BIG, SMALL = [10, 10, 40, 30], [20, 15, 30, 25]


def an_object(number: int = 1, *, image: int = 1, **changes: object) -> dict[str, object]:
    row = {"id": number, "image_id": image, "category_id": 1, "big_box": BIG, "small_box": SMALL}
    return {key: value for key, value in (row | changes).items() if value is not ...}
