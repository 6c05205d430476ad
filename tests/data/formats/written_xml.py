"""The same three objects as tools write them into XML: Pascal VOC and CVAT."""

from pathlib import Path

from data.formats.drawn_boxes import PAIRS, SIZES, drawn, put


def pascal_voc(root: Path) -> Path:
    """labelImg: tabs, and the absolute path of another machine."""
    for name, (width, height) in SIZES.items():
        objects = "".join(
            f"\t<object>\n\t\t<name>{role}</name>\n\t\t<pose>Unspecified</pose>\n"
            "\t\t<truncated>0</truncated>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
            f"\t\t\t<xmin>{x1}</xmin>\n\t\t\t<ymin>{y1}</ymin>\n"
            f"\t\t\t<xmax>{x2}</xmax>\n\t\t\t<ymax>{y2}</ymax>\n\t\t</bndbox>\n\t</object>\n"
            for _, role, (x1, y1, x2, y2) in drawn(name)
        )
        text = (
            f"<annotation>\n\t<folder>images</folder>\n\t<filename>{name}</filename>\n"
            f"\t<path>C:\\Users\\me\\images\\{name}</path>\n"
            "\t<source>\n\t\t<database>Unknown</database>\n\t</source>\n"
            f"\t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n"
            f"\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n{objects}</annotation>\n"
        )
        put(root / "Annotations" / f"{Path(name).stem}.xml", text)
    return root / "Annotations"


def pascal_voc_cvat(root: Path) -> Path:
    """CVAT's Pascal VOC 1.1: corners with a point, attributes, a list of images and a map of labels."""
    folder = root / "voc"
    put(
        folder / "labelmap.txt",
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nbig:51,221,255::\n",
    )
    put(folder / "ImageSets" / "Main" / "default.txt", "".join(f"{Path(n).stem}\n" for n in PAIRS))
    for name, (width, height) in SIZES.items():
        objects = "".join(
            f"  <object>\n    <name>{role}</name>\n    <truncated>0</truncated>\n"
            "    <occluded>0</occluded>\n    <difficult>0</difficult>\n    <bndbox>\n"
            f"      <xmin>{x1:.1f}</xmin>\n      <ymin>{y1:.1f}</ymin>\n"
            f"      <xmax>{x2:.1f}</xmax>\n      <ymax>{y2:.1f}</ymax>\n    </bndbox>\n"
            "    <attributes>\n      <attribute>\n        <name>rotation</name>\n"
            "        <value>0.0</value>\n      </attribute>\n    </attributes>\n  </object>\n"
            for _, role, (x1, y1, x2, y2) in drawn(name)
        )
        text = (
            f"<annotation>\n  <folder></folder>\n  <filename>{name}</filename>\n"
            "  <source>\n    <database>Unknown</database>\n    <annotation>Unknown</annotation>\n"
            "    <image>Unknown</image>\n  </source>\n"
            f"  <size>\n    <width>{width}</width>\n    <height>{height}</height>\n"
            f"    <depth></depth>\n  </size>\n  <segmented>0</segmented>\n{objects}</annotation>\n"
        )
        put(folder / "Annotations" / f"{Path(name).stem}.xml", text)
    return folder


CVAT_META = """  <meta>
    <task>
      <id>7</id>
      <name>cells</name>
      <size>2</size>
      <mode>annotation</mode>
      <overlap>0</overlap>
      <bugtracker></bugtracker>
      <created>2026-01-01 09:30:12.266779+00:00</created>
      <updated>2026-01-01 09:41:02.110432+00:00</updated>
      <subset>default</subset>
      <start_frame>0</start_frame>
      <stop_frame>1</stop_frame>
      <frame_filter></frame_filter>
      <segments>
        <segment>
          <id>7</id>
          <start>0</start>
          <stop>1</stop>
          <url>http://localhost:8080/api/jobs/7</url>
        </segment>
      </segments>
      <owner>
        <username>me</username>
        <email></email>
      </owner>
      <assignee></assignee>
      <labels>
        <label>
          <name>cell</name>
          <color>#33ddff</color>
          <type>any</type>
          <attributes>
          </attributes>
        </label>
      </labels>
    </task>
    <dumped>2026-01-01 09:42:31.000415+00:00</dumped>
  </meta>"""


def cvat(root: Path) -> Path:
    """CVAT for images 1.1; boxes that were grouped carry the group's number."""
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "  <version>1.1</version>"]
    lines.append(CVAT_META)
    for number, (name, (width, height)) in enumerate(SIZES.items()):
        lines.append(f'  <image id="{number}" name="{name}" width="{width}" height="{height}">')
        for group, _, (x1, y1, x2, y2) in drawn(name):
            corners = f'xtl="{x1:.2f}" ytl="{y1:.2f}" xbr="{x2:.2f}" ybr="{y2:.2f}"'
            start = '    <box label="cell" source="manual" occluded="0"'
            lines += [f'{start} {corners} z_order="0" group_id="{group}">', "    </box>"]
        lines.append("  </image>")
    return put(root / "annotations.xml", "\n".join([*lines, "</annotations>", ""]))
