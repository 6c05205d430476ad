"""What the documents say exists."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

import ringsam.training.run
from ringsam.config import read_recipe

ROOT = Path(__file__).parent.parent
NAMED = re.findall(r"`([a-z_/]+\.py):([A-Za-z_.]+)`", (ROOT / "docs/method.md").read_text())


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_the_flow_chart_names_code_that_exists(file, name):
    text = (ROOT / "src/ringsam" / file).read_text()
    for part in name.split("."):
        assert re.search(rf"^ *(def|class) {part}\b", text, re.MULTILINE), part


def test_every_relative_link_of_the_documents_leads_somewhere():
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for link in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_every_recipe_that_the_documents_name_is_there():
    named = set()
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        named |= set(re.findall(r"--recipe ([a-z_]+)", page.read_text(encoding="utf-8")))
    assert named >= {"seed"}
    for name in named:
        read_recipe(name)


def test_other_weights_from_python_are_trained_by_the_recipe_best(monkeypatch):
    trained = []
    monkeypatch.setattr(ringsam.training.run, "train", lambda data, **how: trained.append(how))
    _, example, *_ = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.DOTALL
    )
    exec(f"import ringsam\n{example}")
    best = read_recipe("best")
    wanted = replace(best, weights="facebook/sam-vit-base", data=trained[0]["config"].data)
    assert trained[0]["config"] == wanted and wanted.data != best.data
