"""Row 39: without a network or a cache, a hub name is exit code 2 at once, with both remedies and no retry loop."""

import socket
import urllib.request

import huggingface_hub.constants
import pytest

from ringsam.cli import main
from ringsam.sam import pretrained

NAME = "facebook/sam-vit-of-nowhere"


@pytest.fixture
def asked(monkeypatch) -> list[object]:
    """What looked for an address in a network that has none."""
    seen: list[object] = []

    def nowhere(host, *_, **__):
        seen.append(host)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    monkeypatch.setattr(urllib.request, "_opener", None)
    return seen


def refused(data, out, capsys) -> str:
    assert main(["train", str(data), "--out", str(out), "--weights", NAME]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"ringsam train: {NAME}: is not in the cache")
    assert "pass its folder with --weights" in said  # one remedy
    assert "HF_HOME" in said and "HF_HUB_OFFLINE=1" in said  # the other
    assert not out.exists()
    return said


def test_without_a_network_the_hub_is_asked_once(disc_data, tmp_path, capsys, monkeypatch, asked):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    assert "does not answer" in refused(disc_data, tmp_path / "run", capsys)
    assert len(asked) == 1


def test_offline_the_hub_is_not_asked(disc_data, tmp_path, capsys, monkeypatch, asked):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE forbids" in refused(disc_data, tmp_path / "run", capsys)
    assert asked == []


def test_what_is_in_the_cache_is_read_without_a_network(sam_folder, monkeypatch, asked):
    loads = []
    monkeypatch.setattr(pretrained, "try_to_load_from_cache", lambda *_: "there")
    load = pretrained._load

    def noting(name, **options):
        loads.append(options)
        return load(str(sam_folder), **options)

    monkeypatch.setattr(pretrained, "_load", noting)
    pretrained.load_hub(NAME)
    assert loads[0]["local_files_only"] is True and asked == []


def test_a_hub_that_is_slow_is_given_up_after_ten_seconds(monkeypatch):
    waited = []

    def slow(request, *, timeout):
        waited.append(timeout)
        raise TimeoutError("timed out")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(pretrained, "urlopen", slow)
    with pytest.raises(ValueError, match="does not answer"):
        pretrained.load_hub(NAME)
    assert waited == [10]
