"""Row 20: the same image twice in a data set, or in what a run learned from and is compared on, is a warning by content, under whichever name."""

import shutil

from processes import train_flags

from ringsam.cli import main


def test_a_copy_under_another_name_is_a_warning(make_data, capsys):
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]
    folder = make_data(images=images)
    shutil.copy(folder / "images" / "a.png", folder / "images" / "b.png")
    assert main(["check", str(folder)]) == 0
    assert (
        "warning: a.png: has the same pixels as b.png; keep one of them" in capsys.readouterr().out
    )


def test_an_evaluation_on_images_learned_from_says_so(disc_data, sam_folder, tmp_path, capsys):
    out, test = tmp_path / "run", tmp_path / "test"
    assert (
        main(["train", str(disc_data), *map(str, train_flags(sam_folder, out, num_epochs=1))]) == 0
    )
    shutil.copytree(disc_data, test)
    for number in range(6):
        (test / "images" / f"{number}.png").rename(test / "images" / f"other{number}.png")
    labels = test / "annotations.json"
    labels.write_text(labels.read_text().replace('"file_name": "', '"file_name": "other'))
    capsys.readouterr()
    assert main(["evaluate", str(out), str(labels)]) == 0
    said = capsys.readouterr()
    told = "the run learned from 6 of the 6 images"
    assert f"{told} (other0.png, other1.png, other2.png, ...)" in said.err and told in said.out
    assert main(["report", str(out)]) == 0
    assert "The run learned from 6 of the 6 images" in (out / "report.html").read_text()


def test_a_damaged_note_of_what_was_learned_from_is_refused_in_words(
    disc_data, sam_folder, tmp_path, capsys
):
    out = tmp_path / "run"
    flags = train_flags(sam_folder, out, num_epochs=1)
    assert main(["train", str(disc_data), *map(str, flags)]) == 0
    (out / "data.json").write_text('{"data": "somewhere", "images": 3}')
    assert main(["evaluate", str(out), str(disc_data / "annotations.json")]) == 2
    said = capsys.readouterr().err
    assert "data.json: does not say what the run learned from" in said and "Traceback" not in said
