"""Row 34: a pickle that would run something is refused by every command that reads weights or checkpoints, nothing of it is run, and neither the code nor a flag opens another way."""

import ast
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from processes import train_flags

import ringsam
from ringsam.cli import COMMANDS, main
from ringsam.config import setting_names
from ringsam.errors import InputError
from ringsam.training.checkpoint import write_checkpoint
from ringsam.training.replay import replay

SOURCES = sorted(Path(ringsam.__file__).parent.rglob("*.py"))


class Hostile:
    """Makes a file when it is unpickled carelessly."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def touched(tmp_path) -> Path:
    return tmp_path / "touched"


def test_no_command_runs_what_a_pth_holds(disc_data, sam_folder, tmp_path, touched, capsys):
    evil = tmp_path / "evil.pth"
    torch.save({"image_encoder.pos_embed": torch.ones(1), "more": Hostile(touched)}, evil)
    out, boxes = tmp_path / "out", disc_data / "two_boxes.json"
    flags = train_flags(evil, out, num_epochs=1)
    for command in (
        ("train", disc_data, *flags),
        ("doctor", disc_data, "--weights", evil),
        ("plan", disc_data, "--weights", evil),
        ("predict", evil, disc_data / "images", "--boxes", boxes, "--out", out),
        ("evaluate", evil, disc_data / "annotations.json"),
        ("export", evil, "--to", "hf", "--out", out),
        ("annotate", disc_data / "images", "--out", boxes, "--weights", evil),
    ):
        assert main([str(part) for part in command]) == 2, command
        printed = capsys.readouterr()
        assert "more than tensors" in printed.out + printed.err, command
        assert not touched.exists(), command
    assert not out.exists()
    pickle.loads(pickle.dumps(Hostile(touched)))
    assert touched.exists()  # it would have


def test_no_resume_runs_what_a_signed_checkpoint_holds(
    disc_data, sam_folder, tmp_path, touched, capsys
):
    run = tmp_path / "run"
    assert main(["train", str(disc_data), *map(str, train_flags(sam_folder, run, num_epochs=1))]) == 0  # fmt: skip
    content = {"sam_image_encoder": {"a": torch.ones(1)}, "evil": Hostile(touched)}
    write_checkpoint(content, run / "checkpoints" / "epoch=0009.ckpt")
    shutil.rmtree(run / "adapted")
    capsys.readouterr()
    assert main(["resume", str(run)]) == 0  # from the one before
    said = capsys.readouterr().out
    assert "skipped: " in said and "epoch=0009.ckpt" in said and "from epoch=0000.ckpt" in said
    assert not touched.exists()


def test_a_capture_to_replay_is_read_as_tensors_alone(tmp_path, touched):
    torch.save({"batch": Hostile(touched)}, tmp_path / "not_finite_rank0.pt")
    with pytest.raises(InputError, match="refused"):
        replay(tmp_path / "not_finite_rank0.pt")
    assert not touched.exists()


def test_the_code_unpickles_nowhere_but_with_weights_only():
    found = []
    for path in SOURCES:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = ast.unparse(call.func)
            given = {word.arg: ast.unparse(word.value) for word in call.keywords}
            assert name not in ("pickle.load", "pickle.loads", "pickle.Unpickler", "eval", "exec")
            assert given.get("allow_pickle", "False") == "False", path
            assert given.get("weights_only", "True") == "True", path
            if name == "torch.load":
                assert given["weights_only"] == "True", path
                found.append(path.name)
    assert found == ["weights.py"]


def test_no_setting_or_command_offers_to_trust_a_file():
    for name in (*setting_names(), *COMMANDS):
        assert not any(word in name for word in ("pickle", "unsafe", "trust_", "weights_only"))
