"""The data floor: images and two boxes per object, read by one reader and judged at one door."""

from ringsam.data.check import CheckResult, check
from ringsam.data.dataset import Preprocess, TwoBoxDataset, find_annotations, read_two_boxes
from ringsam.data.findings import Finding
from ringsam.data.images import IMAGE_SUFFIXES, MAX_PIXELS, image_size, read_image
from ringsam.data.records import ImageRecord, TwoBoxData, decode_masks

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "CheckResult",
    "Finding",
    "ImageRecord",
    "Preprocess",
    "TwoBoxData",
    "TwoBoxDataset",
    "check",
    "decode_masks",
    "find_annotations",
    "image_size",
    "read_image",
    "read_two_boxes",
]
