"""Row 15: CVAT's boxes are paired by their group; tracks outside images, XML bombs and files above the cap are refused."""

import json
import re
import time

import pytest
from data.formats.drawn_boxes import PAIRS, put, write_images
from data.formats.written_xml import cvat

from ringsam.cli import main
from ringsam.data.formats import documents, import_labels

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 20))
BOMB = f'<!DOCTYPE a [<!ENTITY l0 "lol">{LAUGHS}]><annotations>&l19;</annotations>'


def test_groups_pair_boxes_whatever_their_order(tmp_path):
    source = cvat(write_images(tmp_path))
    text = source.read_text()
    for image in re.findall(r"<image .*?</image>", text, re.DOTALL):
        shapes = re.findall(r"<box .*?(?:/>|</box>)", image, re.DOTALL)
        turned = iter(shapes[::-1])
        other = re.sub(
            r"<box .*?(?:/>|</box>)", lambda _, t=turned: next(t), image, flags=re.DOTALL
        )
        text = text.replace(image, other)
    assert text != source.read_text()
    source.write_text(text)
    import_labels(source, tmp_path)
    rows = json.loads((tmp_path / "two_boxes.json").read_text())["annotations"]
    found = sorted((row["big_box"], row["small_box"]) for row in rows)
    assert found == sorted(pair for pairs in PAIRS.values() for pair in pairs)


def refused(source, root, capsys) -> str:
    began = time.process_time()
    assert main(["import", str(source), "--out", str(root)]) == 2
    assert time.process_time() - began < 5
    assert not list(root.glob("two_boxes.json"))
    return capsys.readouterr().err


def test_a_bomb_is_refused_unexpanded(tmp_path, capsys):
    source = put(write_images(tmp_path) / "annotations.xml", BOMB)
    assert "XML with a DTD or entities" in refused(source, tmp_path, capsys)


def test_tracks_of_a_video_are_refused(tmp_path, capsys):
    source = cvat(write_images(tmp_path))
    track = '<track id="0" label="cell"><box frame="0" outside="1" xtl="1" ytl="1" xbr="9" ybr="9"/></track>'
    source.write_text(source.read_text().replace("</annotations>", f"{track}</annotations>"))
    assert "tracks of a video" in refused(source, tmp_path, capsys)


def test_a_file_above_the_cap_is_refused_unread(tmp_path, capsys, monkeypatch):
    source = cvat(write_images(tmp_path))
    with source.open("r+b") as file:
        file.truncate(documents.MAX_BYTES + 1)  # a hole: nothing is written
    monkeypatch.setattr(type(source), "read_bytes", lambda _: pytest.fail("was read"))
    assert "is larger than 1024 MiB; split it" in refused(source, tmp_path, capsys)
