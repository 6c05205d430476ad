"""The command line: quick to answer, plain about what went wrong."""

import os
import resource
import subprocess
import sys

import pytest
from disc_data import write_disc_data
from tiny import tiny_sam

import ringsam
import ringsam.commands
from ringsam.cli import COMMANDS, main
from ringsam.commands.arguments import Data
from ringsam.errors import InputError
from ringsam.sam.weights import save_folder


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def error_of(capsys, *arguments: object) -> str:
    """What a command says that ends with exit code 2."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err and captured.out == ""
    return captured.err


def test_help_imports_nothing_heavy():
    answer = python(
        "import sys; from ringsam.cli import main; main(['--help']);"
        "heavy = {'torch', 'transformers', 'lightning', 'numpy', 'tyro', 'pydantic'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    overview, *_, heavy = answer.stdout.splitlines()
    assert overview.startswith("usage: ringsam COMMAND")
    assert heavy == "[]"


def test_help_takes_no_more_than_a_blink():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "ringsam", "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime <= 0.3


def test_the_exit_code_reaches_the_shell():
    arguments = [sys.executable, "-m", "ringsam", "segment"]
    assert subprocess.run(arguments, capture_output=True, check=False).returncode == 2


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_the_overview_names_every_command(capsys, arguments):
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-len(COMMANDS) :]] == list(COMMANDS)


def test_the_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"ringsam {ringsam.__version__}\n"


@pytest.mark.parametrize("name", ["trian", "--epochs", "", "main"])
def test_an_unknown_command_is_refused_with_the_overview(capsys, name):
    assert f"no command {name!r}\n\nusage: ringsam" in error_of(capsys, name)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_its_arguments(capsys, name):
    with pytest.raises(SystemExit) as exit:
        main([name, "--help"])
    assert exit.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: ringsam {name}")


@pytest.mark.parametrize(
    ("name", "named"),
    [("predict", "RUN IMAGES"), ("evaluate", "RUN DATA"), ("import", "LABELS"), ("train", "DATA")],
)
def test_what_has_no_flag_is_called_by_its_name(capsys, name, named):
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: ringsam {name} [-h] [OPTIONS] {named}\n")
    with pytest.raises(SystemExit):
        main([name])
    assert set(named.split()) <= set(capsys.readouterr().err.split())


def test_the_help_of_train_shows_settings_with_their_defaults(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--recipe", "seed", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for flag in ("--method.entropy_thresh", "--optim.lr_encoder", "--recipe", "--weights"):
        assert flag in text
    assert "(default: 0.2)" in text and "(default: 2e-06)" in text


def test_a_commands_help_needs_no_torch():
    code = (
        "import contextlib, io, sys; from ringsam.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main(['train', '--help'])\n"
        "print('torch' in sys.modules, 'ringsam.commands' in sys.modules)"
    )
    assert python(code).stdout.split() == ["False", "True"]


def test_missing_data_writes_nothing(capsys, tmp_path):
    gone, out = tmp_path / "gone", tmp_path / "run"
    assert str(gone) in error_of(capsys, "train", gone, "--out", out)
    assert list(tmp_path.iterdir()) == []


def test_missing_weights_are_named_before_anything_is_written(capsys, tmp_path):
    data, out = write_disc_data(tmp_path / "data"), tmp_path / "run"
    gone = tmp_path / "gone.pth"
    assert str(gone) in error_of(capsys, "train", data, "--out", out, "--weights", gone)
    assert not out.exists()


@pytest.mark.parametrize(
    "command",
    [
        "check GONE",
        "resume GONE",
        "evaluate GONE GONE",
        "report GONE",
        "predict GONE GONE --boxes GONE --out OUT",
        "export GONE --to hf",
        "export GONE --to meta --out OUT",
    ],
)
def test_what_is_not_there_is_a_user_error(capsys, tmp_path, command):
    places = {"GONE": tmp_path / "gone", "OUT": tmp_path / "out"}
    said = error_of(capsys, *(places.get(word, word) for word in command.split()))
    assert said.startswith(f"ringsam {command.split()[0]}: {tmp_path / 'gone'}: ")
    assert list(tmp_path.iterdir()) == []


def test_export_writes_and_says_so(capsys, tmp_path):
    save_folder(tiny_sam(), tmp_path / "sam")
    capsys.readouterr()
    arguments = ["export", tmp_path / "sam", "--to", "meta", "--out", tmp_path / "meta"]
    assert main([str(argument) for argument in arguments]) == 0
    assert "read back and compared" in capsys.readouterr().out
    assert (tmp_path / "meta" / "sam.pth").is_file()
    assert "exists; give another --out" in error_of(capsys, *arguments)


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [(InputError("no", ["row"]), 2, "no\nrow"), (KeyboardInterrupt(), 130, "interrupted")],
)
def test_what_stops_a_command_becomes_an_exit_code(capsys, monkeypatch, raised, code, said):
    def stop(data: Data) -> int:
        raise raised

    monkeypatch.setattr(ringsam.commands, "check", stop)
    assert main(["check", "data"]) == code
    assert capsys.readouterr().err == f"ringsam check: {said}\n"


def test_a_command_sends_no_telemetry(monkeypatch, capsys):
    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY", raising=False)
    main(["train", "data", "--out", "run", "--recipe"])
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
