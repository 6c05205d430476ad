"""The pages as a site: every link leads somewhere, and nothing is asked of another machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from browsing import CHROMIUM, running_browser, visited

ROOT = Path(__file__).parent.parent
SETTINGS = ROOT / "mkdocs.yml"
ASSET = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc=["']?(?P<src>[^"'\s>]+)
    |<link\b[^>]*\bhref=["']?(?P<href>[^"'\s>]+)
    |url\(["']?(?P<url>(?!data:)[^"')]+)
    |@import\s+["'](?P<import>[^"']+)""",
    re.VERBOSE,
)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = ["mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")},
        check=True,
    )
    return folder


def pages_of(entry: object) -> list[str]:
    """The files that an entry of the navigation names."""
    if isinstance(entry, str):
        return [entry]
    entries = entry.values() if isinstance(entry, dict) else entry
    return [page for inner in entries for page in pages_of(inner)]


def test_every_page_stands_in_the_navigation():
    pages = pages_of(yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))["nav"])
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= set(pages)


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_holds_the_reference(site):
    reference = (site / "api.html").read_text(encoding="utf-8")
    for door in ("train", "read_recipe", "resume", "load", "evaluate"):
        assert f'id="ringsam.{door}"' in reference
    assert (site / "results/recipes.html").is_file()


@pytest.mark.slow
def test_the_site_refers_to_no_asset_outside_itself(site):
    files = [path for suffix in ("html", "css") for path in site.rglob(f"*.{suffix}")]
    files.remove(site / "404.html")  # a server's, which begins at its own root
    assert len(files) > 10
    for path in files:
        for match in ASSET.finditer(path.read_text(encoding="utf-8")):
            asset = next(group for group in match.groups() if group).split("?")[0].split("#")[0]
            assert not re.match(r"[a-z]+:|/", asset), f"{path.name}: {asset}"
            assert (path.parent / asset).exists(), f"{path.name}: {asset}"


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_the_search_answers_from_files_alone(site):
    with running_browser() as browser, visited(browser, (site / "index.html").as_uri()) as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.reload()
        page.fill("input[name=query]", "entropy")
        page.wait_for_selector(".md-search-result__item")
    assert asked and all(url.startswith("file:") for url in asked)
