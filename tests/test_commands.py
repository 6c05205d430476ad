"""The flags of `ringsam train`: the recipe's values over the classes' defaults, then the flags'."""

import pytest
from test_cli import error_of

from ringsam.cli import main
from ringsam.config import Config, read_recipe


@pytest.mark.parametrize(
    "arguments",
    [
        ["train"],
        ["train", "data"],
        ["train", "data", "--out", "run", "--epochs", "many"],
        ["train", "data", "--out", "run", "--method.temprature", "1"],
        ["export", "run", "--to", "tflite"],
        ["check", "data", "more"],
    ],
)
def test_wrong_flags_are_user_errors(capsys, arguments):
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--epochs", 0, "--epochs: Input should be greater than 0, found 0"),
        (
            "--method.temperature",
            0,
            "--method.temperature: Input should be greater than 0, found 0.0",
        ),
        ("--optim.batch_size", 0, "--optim.batch_size: Input should be greater than 0, found 0"),
        ("--hardware.devices", -1, "--hardware.devices: Input should be greater than 0, found -1"),
        (
            "--seed",
            2**64,
            "--seed: Input should be less than 9223372036854775808, found a number of 65 bits",
        ),
        (
            "--method.colour_vote",
            0.9,
            "--method.colour_vote 0.9 and method.shape_vote 0.25: shares, together at most 1; lower one",
        ),
    ],
)
def test_a_setting_that_cannot_be_used_is_told_in_one_line(capsys, flag, value, said):
    for command in (["train", "data", "--out", "run"], ["doctor", "data"], ["plan", "data"]):
        line = error_of(capsys, *command, flag, value)
        assert line == f"ringsam {command[0]}: {said}\n"


@pytest.fixture
def train_calls(monkeypatch) -> list:
    import ringsam.training.run

    calls = []
    monkeypatch.setattr(ringsam.training.run, "train", lambda *args: calls.append(args))
    return calls


def test_flags_win_over_the_recipe_and_the_recipe_over_defaults(tmp_path, train_calls):
    assert main(["train", "data", "--out", "run"]) == 0
    assert train_calls.pop()[2] == read_recipe("best")
    assert main(["train", "data", "--out", "run", "--recipe", "seed"]) == 0
    assert train_calls.pop()[2] == Config()
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("epochs: 3\nmethod: {temperature: 0.5, alpha: 2}\n")
    flags = ["--method.temperature", "0.3", "--weights", "facebook/sam-vit-base"]
    for form in (["--recipe", str(recipe)], [f"--recipe={recipe}"]):
        assert main(["train", "data", "--out", "run", *form, *flags]) == 0
        data, out, config = train_calls.pop()
        assert (str(data), str(out)) == ("data", "run")
        assert (config.epochs, config.method.temperature, config.method.alpha) == (3, 0.3, 2)
        assert (config.weights, config.method.beta) == ("facebook/sam-vit-base", 0.5)


@pytest.mark.parametrize("recipe", [["--recipe", "sead"], ["--recipe"]])
def test_a_recipe_that_is_not_there_is_a_user_error(capsys, recipe):
    assert "recipe" in error_of(capsys, "train", "data", "--out", "run", *recipe)
