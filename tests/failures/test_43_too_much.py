"""Row 43: bodies that are too large, too slow or of no told length, and images of too many pixels, hurt nobody else who works on the page."""

import json
import shutil
import socket
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from PIL import Image

from ringsam.pages.guard import MAX_BODY_BYTES

pytestmark = pytest.mark.slow


@pytest.fixture
def page(disc_data, sam_folder, tmp_path, served):
    """The address and the token of a page over small images and one that is a bomb."""
    images = tmp_path / "images"
    images.mkdir()
    for path in (disc_data / "images").iterdir():
        shutil.copy(path, images)
    Image.new("1", (20000, 10000)).save(images / "bomb.png")  # 25 kB that unpack to 600 MB
    out = tmp_path / "two_boxes.json"
    return served("annotate", images, "--out", out, "--weights", sam_folder)[1:]


def send(address: str, token: str, length: str, body: bytes = b"") -> socket.socket:
    """A body for a new class, of so many bytes as `length` tells, or of this coding."""
    place = urllib.parse.urlsplit(address)
    link = socket.create_connection((place.hostname, place.port), timeout=30)
    lines = ["POST /api/classes HTTP/1.1", f"Host: {place.netloc}", f"X-Ringsam-Token: {token}"]
    lines += ["Content-Type: application/json", length, "", ""]
    link.sendall("\r\n".join(lines).encode() + body)
    return link


def status(link: socket.socket) -> int:
    with link:
        return int(link.recv(4096).split()[1])


def seconds_to_answer(address: str, token: str) -> float:
    began = time.monotonic()
    request = urllib.request.Request(f"{address}/api/project", headers={"x-ringsam-token": token})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
    return time.monotonic() - began


def test_what_is_too_much_is_refused_and_keeps_nobody_waiting(page):
    address, token = page
    slow = [send(address, token, "Content-Length: 1000", b'{"name": "sl') for _ in range(50)]
    assert seconds_to_answer(address, token) < 5
    large = send(address, token, f"Content-Length: {MAX_BODY_BYTES + 1}")
    assert status(large) == 413  # before a byte of it was sent
    assert status(send(address, token, "Transfer-Encoding: chunked", b"5\r\n12345\r\n")) == 411
    assert status(send(address, "wrong", "Content-Length: 1000")) == 401
    assert status(send(address, token, "Content-Length: 12", b'{"name":"a"}')) == 200
    for link in slow:
        link.close()
    assert seconds_to_answer(address, token) < 5


def test_an_image_that_unpacks_to_much_is_refused_and_the_page_goes_on(page):
    address, token = page
    request = urllib.request.Request(f"{address}/api/project", headers={"x-ringsam-token": token})
    with urllib.request.urlopen(request, timeout=30) as answer:
        images = json.load(answer)["images"]
    (key,) = (image["key"] for image in images if image["name"] == "bomb.png")
    pixels = f"{address}/api/images/{key}/pixels"
    with pytest.raises(urllib.error.HTTPError) as refusal:
        ask = urllib.request.Request(pixels, headers={"x-ringsam-token": token})
        urllib.request.urlopen(ask, timeout=30)
    with refusal.value:
        assert refusal.value.code == 422
    assert seconds_to_answer(address, token) < 5
