"""The same three objects on two images, as each labelling tool writes them: its writers by name."""

from data.formats.written_json import coco_fields, coco_pairs, label_studio, labelme
from data.formats.written_tables import (
    csv_plain,
    csv_sides,
    csv_two_boxes,
    yolo,
    yolo_cvat,
    yolo_label_studio,
    yolo_labelimg,
)
from data.formats.written_xml import cvat, pascal_voc, pascal_voc_cvat

TOOLS = {
    "COCO pairs": coco_pairs,
    "COCO fields": coco_fields,
    "CSV two boxes": csv_two_boxes,
    "CSV plain": csv_plain,
    "CSV sides": csv_sides,
    "YOLO": yolo,
    "YOLO labelImg": yolo_labelimg,
    "YOLO Label Studio": yolo_label_studio,
    "YOLO CVAT": yolo_cvat,
    "Pascal VOC": pascal_voc,
    "Pascal VOC CVAT": pascal_voc_cvat,
    "LabelMe": labelme,
    "Label Studio": label_studio,
    "CVAT": cvat,
}
