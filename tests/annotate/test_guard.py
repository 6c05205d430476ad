"""Who is let in, and to what."""

import json
import re
from pathlib import Path

import pytest
import uvicorn
from PIL import Image
from starlette.testclient import TestClient
from test_saving import DRAWN, keys_of, opened, save

import ringsam
import ringsam.annotate
import ringsam.pages
from ringsam.annotate.server import open_project
from ringsam.cli import main
from ringsam.errors import InputError
from ringsam.pages.guard import MAX_BODY_BYTES, Guard


@pytest.mark.parametrize("host", ["localhost", "localhost:80", "127.0.0.1:4711", "[::1]:80"])
def test_this_machine_is_let_in_by_its_own_names(client, host):
    assert client.get("/api/project", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "[", "", "127.0.0.1@x"])
def test_a_name_that_was_bound_to_this_machine_is_refused(client, host):
    assert client.get("/api/project", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:81"])
def test_another_sites_page_is_refused(client, origin):
    answer = client.post("/api/classes", json={"name": "x"}, headers={"origin": origin})
    assert answer.status_code == 403


@pytest.mark.parametrize("local", [True, False])
def test_nothing_is_shown_without_the_token(connect, token, local):
    client = connect(local=local, knows_token=False)
    for path in ("/", "/page.js", "/api/project", "/?token=wrong", "/page.js?token=a-token"):
        assert client.get(path).status_code == 401
    client.cookies.set(Guard(client.app, token=token, local=local).cookie, "another")
    assert client.get("/").status_code == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_link_that_is_printed_lets_in_and_none_without_its_token(
    folder, capsys, monkeypatch, host
):
    apps = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: apps.append(self.config.app))
    ringsam.annotate.annotate(folder / "images", folder / "two_boxes.json", host=host)
    (link,) = re.findall(r"http://\S+", capsys.readouterr().out)
    assert TestClient(apps[0], base_url="http://localhost").get("/").status_code == 401
    client = TestClient(apps[0], base_url="http://localhost")
    assert client.get(f"/?{link.partition('?')[2]}").status_code == 200


@pytest.mark.parametrize("local", [True, False])
def test_the_token_of_the_address_becomes_a_cookie(connect, token, local):
    client = connect(local=local, knows_token=False)
    first = client.get(f"/?token={token}", follow_redirects=False)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    assert (
        "HttpOnly" in first.headers["set-cookie"] and "SameSite=lax" in first.headers["set-cookie"]
    )
    assert client.get("/api/project").status_code == 200


def test_the_token_may_come_as_a_header(connect):
    assert connect(local=False).get("/api/project").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../server.py",
        "/%2e%2e/server.py",
        "/..%2fserver.py",
        "//etc/passwd",
        "/api/images/..%2f..%2fa.png",
        "/api/images/a.png",
        "/api/images/a.png/pixels",
        "/api/images/%2fetc%2fpasswd/pixels",
        "/docs",
        "/openapi.json",
    ],
)
def test_no_path_leads_out(client, path):
    assert client.get(path).status_code == 404


def test_links_out_of_the_folder_are_left_out_and_told(folder, tmp_path_factory):
    secret = tmp_path_factory.mktemp("secret") / "secret.png"
    Image.new("RGB", (9, 9)).save(secret)
    (folder / "images" / "link.png").symlink_to(secret)
    (folder / "images" / "inside.png").symlink_to(folder / "images" / "a.png")
    pictures, _ = open_project(folder / "images", folder / "two_boxes.json")
    names = [picture.name for picture in pictures.by_key.values()]
    assert names == ["a.png", "b.png", "inside.png"]
    assert len(pictures.left_out) == 1 and "link.png: is a link" in pictures.left_out[0]


def test_an_image_that_becomes_a_link_out_of_the_folder_is_not_found(
    client, folder, tmp_path_factory
):
    path = f"/api/images/{keys_of(client)['a.png']}"
    assert client.get(path).status_code == 200
    secret = tmp_path_factory.mktemp("secret") / "secret.png"
    Image.new("RGB", (90, 60)).save(secret)
    (folder / "images" / "a.png").unlink()
    (folder / "images" / "a.png").symlink_to(secret)
    for answer in (client.get(path), client.get(f"{path}/pixels")):
        assert answer.status_code == 404
    assert client.get(f"/api/images/{keys_of(client)['b.png']}").status_code == 200


def test_a_body_that_is_too_large_is_not_read(client, folder):
    path, _ = opened(client)
    assert client.put(path, content=b" " * (MAX_BODY_BYTES + 1)).status_code == 413
    assert client.put(path, content=iter([b"{}"])).status_code == 411
    assert not (folder / "two_boxes.json").exists()


def test_an_image_of_too_many_pixels_is_refused(folder, connect):
    Image.new("1", (20000, 10000)).save(folder / "images" / "huge.png")
    client = connect()
    path = f"/api/images/{keys_of(client)['huge.png']}"
    for answer in (client.get(path), client.get(f"{path}/pixels")):
        assert answer.status_code == 422 and "cut the image into tiles" in answer.json()["detail"]
        assert str(folder) not in answer.text


def test_every_answer_forbids_foreign_scripts(client):
    for path in ("/", "/page.js", "/api/project", "/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; ")
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_the_page_asks_nothing_of_other_sites():
    for file in Path(ringsam.__file__).parent.glob("*/static/*"):
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text and "https:" not in text and "//cdn" not in text, file.name
        assert "innerHTML" not in text and "style=" not in text, file.name


def test_a_script_in_a_name_is_data(folder, connect):
    name = "<img src=x onerror=alert(1)>.png"
    Image.new("RGB", (90, 60)).save(folder / "images" / name)
    client = connect()
    assert name in keys_of(client) and name not in client.get("/").text
    answer = save(client, [DRAWN], name)
    assert answer.headers["content-type"] == "application/json"
    content = json.loads((folder / "two_boxes.json").read_text())
    assert content["images"][0]["file_name"] == name


def test_without_the_web_extra_the_command_says_what_to_install(capsys, folder, monkeypatch):
    monkeypatch.setattr(ringsam.pages, "find_spec", lambda name: None)
    arguments = ["annotate", str(folder / "images"), "--out", str(folder / "two_boxes.json")]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert (
        'needs fastapi and uvicorn; in a clone, run `pip install -c constraints.txt ".[web]"`'
        in said
    )


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ({"port": 70000}, "--port 70000: is no port"),
        ({"host": "no.such.host.invalid"}, r"--host no\.such\.host\.invalid --port 0: "),
    ],
)
def test_an_address_that_cannot_be_had_is_a_user_error(folder, address, found):
    with pytest.raises(InputError, match=found):
        ringsam.annotate.annotate(folder / "images", folder / "two_boxes.json", **address)


@pytest.mark.parametrize("gone", ["gone", "empty"])
def test_a_folder_without_images_is_a_user_error(folder, gone):
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=str(folder / gone)):
        open_project(
            folder / gone, folder / gone / "boxes.json" if gone == "empty" else folder / "b"
        )
