"""Pages that a command serves are visited by the link that it prints, then stopped."""

import json
import re
import time
from collections.abc import Callable
from threading import Thread
from typing import Any
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

import pytest
import uvicorn


def visit_pages(monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]) -> list[str]:
    """Whatever serves a page from here on is visited once; the list grows by the title of each page."""
    run, titles = uvicorn.Server.run, list[str]()

    def run_until_visited(server: uvicorn.Server, sockets: Any = None) -> None:
        visitor = Thread(target=visit, args=(server, re.findall(r"http://\S+", said())[0], titles))
        visitor.start()
        run(server, sockets=sockets)
        visitor.join()

    monkeypatch.setattr(uvicorn.Server, "run", run_until_visited)
    return titles


def visit(server: uvicorn.Server, link: str, titles: list[str]) -> None:
    """Looks at the page, then does what a person does there: draws an object, or accepts every mask."""
    while not server.started:
        time.sleep(0.01)
    try:
        opener = build_opener(HTTPCookieProcessor())
        with opener.open(link) as answer:
            (title,) = re.findall("<title>(.+)</title>", answer.read().decode())
        titles.append(title)
        do = accept_all if "Review" in title else draw_one
        do(opener, link.partition("?")[0])
    finally:
        server.should_exit = True


def draw_one(opener: OpenerDirector, address: str) -> None:
    """On the first image, which may have others."""
    project = ask(opener, f"{address}api/project")
    place = f"{address}api/images/{project['images'][0]['key']}"
    shown = ask(opener, place)
    drawn = {"id": None, "category_id": project["classes"][0]["id"]}
    drawn |= {"big_box": [10, 10, 40, 40], "small_box": [20, 20, 30, 30]}
    there = [{name: each[name] for name in drawn} for each in shown["objects"]]
    body = {"revision": shown["revision"], "objects": [*there, drawn]}
    assert len(ask(opener, place, put=body)["objects"]) == len(there) + 1


def accept_all(opener: OpenerDirector, address: str) -> None:
    for each in ask(opener, f"{address}api/project")["objects"]:
        place = f"{address}api/objects/{each['id']}"
        shown = ask(opener, place)
        verdict = {"revision": shown["revision"], "verdict": "accepted", **shown["boxes"]}
        assert ask(opener, place, put=verdict)["verdict"] == "accepted"


def ask(opener: OpenerDirector, place: str, *, put: object = None) -> Any:
    """What the page's server answers."""
    body = None if put is None else json.dumps(put).encode()
    method = "GET" if put is None else "PUT"
    headers = {"content-type": "application/json"}
    with opener.open(Request(place, body, headers, method=method)) as answer:
        return json.load(answer)
