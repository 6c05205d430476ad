"""What differs from the run that is gone on with: its settings, its labels and images; and what may."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ringsam.config import Config, settings
from ringsam.errors import InputError

# What the run's `original` weights were made with
FOR_EVER = ("weights:", "data.input_size:")
# How fast and where, not what: the images of a step are compared apart
_FREE = ("hardware.", "data.num_workers", "optim.batch_size", "optim.accumulate")


def changed_settings(before: dict[str, Any], config: Config) -> list[str]:
    """A row for each setting of the method or the data that is not what the run was started with."""
    old, new = dict(_flat(before)), dict(_flat(settings(config)))
    rows = [
        f"{name}: was {old.get(name)}, is {new.get(name)}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name) and not name.startswith(_FREE)
    ]
    was, now = _images_a_step(old), _images_a_step(new)
    if was != now:
        rows.append(f"images to a step, over all devices: was {was}, is {now}")
    return rows


def with_devices(config: Config, devices: int | None) -> Config:
    """The same images to a step on another number of devices. Raises InputError where they cannot be shared evenly."""
    if devices is None or devices == config.hardware.devices:
        return config
    images = config.optim.batch_size * config.hardware.devices
    if images % devices:
        mend = f"take a number of devices that divides {images}"
        raise InputError(f"--devices {devices}: a step has {images} images at once; {mend}")
    return replace(
        config,
        optim=replace(config.optim, batch_size=images // devices),
        hardware=replace(config.hardware, devices=devices),
    )


def _images_a_step(flat: dict[str, Any]) -> int:
    factors = ("optim.batch_size", "optim.accumulate", "hardware.devices", "hardware.num_nodes")
    product = 1
    for name in factors:
        product *= int(flat.get(name, 1))
    return product


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
