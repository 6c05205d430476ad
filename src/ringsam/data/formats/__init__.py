"""Labels as other tools write them: one file per format, one common form, one way into two_boxes.json."""

from ringsam.data.formats.importing import import_labels

__all__ = ["import_labels"]
