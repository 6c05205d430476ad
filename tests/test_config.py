"""Settings: the seed's table, and what a slip of the pen gets."""

from dataclasses import replace

import pytest

from ringsam.config import (
    Config,
    MethodConfig,
    as_yaml,
    read_config,
    read_recipe,
    setting_names,
    settings,
)
from ringsam.errors import InputError

SEED_TABLE = {
    "method.prompts": "ring",
    "method.num_points": 10,
    "method.entropy_thresh": 0.2,
    "method.random_orientation": False,
    "method.unfreeze_last_k": 0,
    "method.train_neck": True,
    "method.ema_decay": 0.999,
    "method.proj_dim": 64,
    "method.pos_samples": 256,
    "method.neg_samples": 1024,
    "method.gather_negatives": True,
    "method.temperature": 0.1,
    "method.alpha": 1.0,
    "method.beta": 0.5,
    "method.gamma": 0.1,
    "optim.lr_encoder": 2e-6,
    "optim.lr_head": 1e-3,
    "optim.weight_decay": 1e-4,
    "optim.clip": 1.0,
    "data.resize": "longest_side",
    "data.input_size": None,
}


def value_of(config: Config, name: str) -> object:
    value: object = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def refusal(tmp_path, text: str | bytes) -> list[str]:
    """The lines that a settings file is refused with."""
    path = tmp_path / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as caught:
        read_config(path)
    lines = str(caught.value).splitlines()
    assert str(path) in lines[0]
    return lines


@pytest.mark.parametrize("name", SEED_TABLE)
def test_every_default_is_the_seeds(name):
    default = value_of(Config(), name)
    assert default == SEED_TABLE[name] and type(default) is type(SEED_TABLE[name])


def test_what_goes_beyond_the_seed_is_off():
    method = {name for name in setting_names() if name.startswith("method.")}
    beyond = {name: value_of(Config(), name) for name in method - set(SEED_TABLE)}
    assert beyond.pop("method.kept") == "student"
    assert beyond == dict.fromkeys(beyond, 0.0)
    assert not Config().method.trains_masks


def test_the_seed_recipe_is_the_defaults():
    assert read_recipe("seed") == Config()


def test_a_setting_has_one_name_only():
    names = list(setting_names())
    assert len(names) == len(set(names))
    assert {"weights", "epochs", "seed", "optim.batch_size", "hardware.precision"} <= set(names)
    last = [name.rpartition(".")[2] for name in names]
    assert len(last) == len(set(last))


def test_a_file_holds_only_what_differs(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("epochs: 3\nmethod: {temperature: 0.2}\noptim: {lr_encoder: 5e-6}\n")
    config = read_config(path)
    assert (config.epochs, config.method.temperature, config.optim.lr_encoder) == (3, 0.2, 5e-6)
    assert replace(config.method, temperature=0.1) == MethodConfig()


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "method: {}"])
def test_an_empty_file_is_the_defaults(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert read_config(path) == Config()


def test_what_is_written_is_read_back(tmp_path):
    config = Config(
        weights="ünï/cödé: #1",
        seed=-(2**40),
        method=MethodConfig(prompts="box+core", temperature=1e-7, train_neck=False),
    )
    path = tmp_path / "config.yaml"
    path.write_text(as_yaml(config))
    assert read_config(path) == config
    assert set(settings(config)) == {name.split(".")[0] for name in setting_names()}


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("method: {temprature: 0.2}", "method.temprature", "method.temperature"),
        ("method: {lr_encoder: 1e-5}", "method.lr_encoder", "optim.lr_encoder"),
        ("lr_encoder: 1e-5", "lr_encoder", "optim.lr_encoder"),
        ("epoch: 4", "epoch", "epochs"),
    ],
)
def test_a_wrong_key_gets_one_line_with_the_right_one(tmp_path, text, key, meant):
    _, line = refusal(tmp_path, text)
    assert line.endswith(f"mine.yaml: {key}: no such setting; did you mean {meant}?")


def test_a_key_like_no_other_gets_no_guess(tmp_path):
    assert refusal(tmp_path, "zzz: 1")[1].endswith("zzz: no such setting")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("epochs: many", "epochs"),
        ("epochs: 0", "epochs"),
        ("epochs: 2.5", "epochs"),
        ("seed: 9223372036854775808", "seed"),
        ("epochs: null", "epochs"),
        ("method: {ema_decay: 1.01}", "method.ema_decay"),
        ("method: {temperature: 0}", "method.temperature"),
        ("method: {temperature: .nan}", "method.temperature"),
        ("optim: {lr_head: .inf}", "optim.lr_head"),
        ("method: {unfreeze_last_k: -1}", "method.unfreeze_last_k"),
        ("method: {prompts: circle}", "method.prompts"),
        ("method: {train_neck: perhaps}", "method.train_neck"),
        ("method: {kept: teacher, ema_decay: 1}", "method.kept teacher: with"),
        ("method: 5", "method"),
        ("optim: {lr_head: [1, 2]}", "optim.lr_head"),
        ("optim: {weight_decay: -1}", "optim.weight_decay"),
        ("data: {input_size: 0}", "data.input_size"),
        ("hardware: {precision: half}", "hardware.precision"),
        ("hardware: {devices: several}", "hardware.devices"),
        ("weights: 5", "weights"),
        ("5: 5", "5"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(tmp_path, text, key):
    _, *rows = refusal(tmp_path, text)
    assert rows and all(f"mine.yaml: {key}" in row for row in rows)


def test_every_wrong_setting_is_listed_at_once(tmp_path):
    first, *rows = refusal(tmp_path, "epochs: 0\nseeds: 1\nmethod: {temperature: -1, alpha: x}")
    assert "4 setting(s)" in first and len(rows) == 4


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "\tx", "!!python/object:os.system {}"])
def test_what_is_not_yaml_is_refused(tmp_path, text):
    assert "cannot be read as YAML" in refusal(tmp_path, text)[0]


def test_bytes_that_are_no_text_are_refused(tmp_path):
    assert "cannot be read as YAML" in refusal(tmp_path, b"\xff\xfe\x00\xd8")[0]


@pytest.mark.parametrize("text", ["- 1\n- 2", "just words", "7"])
def test_a_file_without_keys_is_refused(tmp_path, text):
    assert "expected `key: value` lines" in refusal(tmp_path, text)[0]


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"gone\.yaml: cannot be read"):
        read_config(tmp_path / "gone.yaml")


def test_an_unknown_recipe_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"sead: no such recipe; .*one of: .*seed"):
        read_recipe("sead")


def test_a_recipe_may_be_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("epochs: 2")
    assert read_recipe(str(path)).epochs == 2


def test_colours_are_asked_for_whatever_term_is_taught_by_them():
    voting = {"colour_vote": 0.5, "shape_vote": 0.25}
    assert MethodConfig(self_training=1.0, **voting).asks_colours
    assert MethodConfig(pixel_contrast=0.1, **voting).asks_colours
    assert not MethodConfig(box_constraint=1.0, **voting).asks_colours
    assert not MethodConfig(self_training=1.0).asks_colours
