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
        ["train", "data", "--out", "run", "--method.temperature", "0"],
        ["train", "data", "--out", "run", "--hardware.devices", "0"],
        ["export", "run", "--to", "tflite"],
        ["check", "data", "more"],
    ],
)
def test_wrong_flags_are_user_errors(capsys, arguments):
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(("flag", "value"), [("--epochs", 0), ("--seed", 2**64)])
def test_a_value_out_of_range_is_a_user_error(capsys, flag, value):
    said = error_of(capsys, "train", "data", "--out", "run", flag, value)
    assert said.startswith(f"ringsam train: {flag}: Input should be ")


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
