"""What is kept comes back as it was, or counts as missing."""

import pytest
import torch
from safetensors import SafetensorError

from ringsam import feature_cache
from ringsam.feature_cache import FeatureCache

TENSORS = (torch.arange(12.0).view(3, 4), torch.randn(2, 5).bfloat16())
SIZE = 12 * 4 + 10 * 2


def same(found, expected) -> bool:
    return len(found) == len(expected) and all(
        a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(found, expected, strict=True)
    )


def test_what_is_kept_comes_back_to_the_last_bit(tmp_path):
    for cache in (FeatureCache(SIZE), FeatureCache(1000, tmp_path / "kept")):
        assert cache.get("a") is None
        cache.put("a", TENSORS)
        assert same(cache.get("a"), TENSORS)


def test_what_is_kept_does_not_change_with_its_source():
    cache, tensor = FeatureCache(1000), torch.zeros(3)
    cache.put("a", [tensor])
    tensor += 1
    assert same(cache.get("a"), [torch.zeros(3)])


def test_a_full_cache_takes_no_more_and_keeps_what_it_has(tmp_path):
    for cache in (FeatureCache(SIZE + 10), FeatureCache(SIZE + 10, tmp_path / "kept")):
        cache.put("a", TENSORS)
        cache.put("b", TENSORS)
        cache.put("c", [torch.zeros(2)])
        assert same(cache.get("a"), TENSORS)
        assert cache.get("b") is None
        assert same(cache.get("c"), [torch.zeros(2)])


def test_a_folder_serves_the_next_run_and_its_files_count(tmp_path):
    FeatureCache(1000, tmp_path).put("a", TENSORS)
    next_run = FeatureCache(SIZE + 10, tmp_path)
    assert same(next_run.get("a"), TENSORS)
    next_run.put("b", TENSORS)
    assert next_run.get("b") is None


def test_a_damaged_file_counts_as_missing_and_is_written_again(tmp_path):
    cache = FeatureCache(10_000, tmp_path)
    cache.put("a", TENSORS)
    (file,) = tmp_path.iterdir()
    sound = file.read_bytes()
    for damaged in (sound[:-4], sound[:-1] + bytes([sound[-1] ^ 1]), b""):
        file.write_bytes(damaged)
        assert cache.get("a") is None
    cache.put("a", TENSORS)
    assert same(cache.get("a"), TENSORS)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("full")])
def test_a_disk_that_takes_no_more_is_told_once_and_ends_nothing(
    tmp_path, monkeypatch, capsys, error
):
    cache = FeatureCache(10_000, tmp_path)
    cache.put("a", TENSORS)

    def full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(feature_cache, "save_file", full)
    cache.put("b", TENSORS)
    cache.put("c", TENSORS)
    assert capsys.readouterr().out.count("NOT KEPT") == 1
    assert cache.get("b") is None and cache.get("c") is None and same(cache.get("a"), TENSORS)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_what_is_written_again_counts_once(tmp_path):
    cache = FeatureCache(2 * SIZE, tmp_path)
    cache.put("a", TENSORS)
    (tmp_path / "a.safetensors").write_bytes(b"")
    cache.put("a", TENSORS)
    assert cache.used_bytes == SIZE
