"""An answer that was kept is not asked for again, and a file that was damaged costs its lines alone."""

import pytest
from tiny import tiny_sam

from ringsam.errors import InputError
from ringsam.pages.kept import KeptAnswers, key_of_model, key_of_question
from ringsam.predict import Predictor
from ringsam.sam.preprocess import Preprocess


def test_an_answer_is_there_at_the_next_start(tmp_path):
    beside = tmp_path / "boxes.json"
    KeptAnswers(beside, kind="doubts").put("a", {"doubt": 0.5})
    again = KeptAnswers(beside, kind="doubts")
    assert again.path.name == ".boxes.json.doubts"
    assert again.get("a") == {"doubt": 0.5} and again.get("b") is None
    assert KeptAnswers(beside, kind="masks").get("a") is None


@pytest.mark.parametrize("damage", ['\n["b", 0.', "\nnull", '\n{"c": 1}', "\n[1, 2, 3]", "\n\x00"])
def test_a_line_that_was_cut_counts_as_missing(tmp_path, damage):
    kept = KeptAnswers(tmp_path / "boxes.json", kind="doubts")
    kept.put("a", 1)
    with kept.path.open("a") as file:
        file.write(damage)
    again = KeptAnswers(tmp_path / "boxes.json", kind="doubts")
    assert again.get("a") == 1 and again.get("b") is None
    again.put("d", 4)
    assert KeptAnswers(tmp_path / "boxes.json", kind="doubts").get("d") == 4


def test_what_nobody_asks_for_any_more_is_forgotten(tmp_path):
    kept = KeptAnswers(tmp_path / "boxes.json", kind="masks")
    for name in "abc":
        kept.put(name, name)
    again = KeptAnswers(tmp_path / "boxes.json", kind="masks")
    assert again.get("b") == "b"
    again.put("d", "d")
    again.forget_unused()
    last = KeptAnswers(tmp_path / "boxes.json", kind="masks")
    assert [last.get(name) for name in "abcd"] == [None, "b", None, "d"]


def test_a_place_that_takes_nothing_is_a_user_error(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        KeptAnswers(tmp_path / "gone" / "boxes.json", kind="masks").put("a", 1)


def test_keys_tell_weights_and_preprocessing_apart():
    one, other = tiny_sam(), tiny_sam(seed=1)
    models = [
        Predictor(one, preprocess=Preprocess(64)),
        Predictor(one, preprocess=Preprocess(64, "squash")),
        Predictor(other, preprocess=Preprocess(64)),
    ]
    keys = [key_of_question("doubt", key_of_model(model)) for model in models]
    assert len(set(keys)) == 3
    assert keys[0] == key_of_question("doubt", key_of_model(models[0]))
