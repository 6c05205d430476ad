"""Row 45: whatever the page said it saved is in the file after `kill -9` of its server, and a second person's older view is refused with 409."""

import json
import shutil
import signal
import threading
import urllib.error
import urllib.request

import pytest

pytestmark = pytest.mark.slow


def ask(address: str, token: str, path: str, body: object = None, method: str = "GET"):
    content = None if body is None else json.dumps(body).encode()
    headers = {"x-ringsam-token": token, "content-type": "application/json"}
    request = urllib.request.Request(f"{address}{path}", content, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


KILLED_AFTER = 8  # objects that were told to be saved


def drawn(number: int) -> dict:
    box = [4 + number % 20, 4, 40 + number % 20, 40]
    return {"id": None, "category_id": None, "big_box": box, "small_box": [24, 12, 34, 30]}


def test_what_was_said_to_be_saved_outlives_the_server(disc_data, sam_folder, tmp_path, served):
    images, out = tmp_path / "images", tmp_path / "two_boxes.json"
    shutil.copytree(disc_data / "images", images)
    command = ("annotate", images, "--out", out, "--weights", sam_folder)
    process, address, token = served(*command)
    path = f"/api/images/{ask(address, token, '/api/project')['images'][0]['key']}"
    told: list[list[list[int]]] = []

    def draw_on_and_on() -> None:
        """Until nobody answers."""
        image, objects = ask(address, token, path), []
        try:
            while True:
                objects = [*image["objects"], drawn(len(told))]
                kept = [{key: row[key] for key in drawn(0)} for row in objects]
                body = {"revision": image["revision"], "objects": kept}
                image = ask(address, token, path, body, "PUT")
                told.append([row["big_box"] for row in image["objects"]])
                if len(told) == KILLED_AFTER:
                    process.send_signal(signal.SIGKILL)
        except (OSError, ValueError):
            return

    hand = threading.Thread(target=draw_on_and_on)
    hand.start()
    hand.join(timeout=120)
    assert process.wait(timeout=30) == -9 and len(told) >= KILLED_AFTER
    _, address, token = served(*command)
    found = [row["big_box"] for row in ask(address, token, path)["objects"]]
    assert found[: len(told[-1])] == told[-1] and len(found) <= len(told[-1]) + 1
    assert [row["big_box"] for row in json.loads(out.read_text())["annotations"]] == found


def test_an_older_view_is_refused_with_409(disc_data, sam_folder, tmp_path, served):
    images, out = tmp_path / "images", tmp_path / "two_boxes.json"
    shutil.copytree(disc_data / "images", images)
    _, address, token = served("annotate", images, "--out", out, "--weights", sam_folder)
    path = f"/api/images/{ask(address, token, '/api/project')['images'][0]['key']}"
    both_saw = ask(address, token, path)["revision"]
    ask(address, token, path, {"revision": both_saw, "objects": [drawn(0)]}, "PUT")
    before = out.read_bytes()
    with pytest.raises(urllib.error.HTTPError) as refusal:
        ask(address, token, path, {"revision": both_saw, "objects": []}, "PUT")
    with refusal.value:
        assert refusal.value.code == 409 and out.read_bytes() == before
