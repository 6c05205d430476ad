"""Takes the repository's pages that lie outside docs/ into the site, and leads links to where they are in it."""

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PAGES = {
    ROOT / "CHANGELOG.md": "changelog.md",
    ROOT / "CONTRIBUTING.md": "contributing.md",
    ROOT / "src/ringsam/assets/nano/README.md": "nano.md",
    ROOT / "src/ringsam/assets/sample/README.md": "sample.md",
} | {path: f"results/{path.name}" for path in (ROOT / "benchmarks/results").iterdir()}
LINK = re.compile(r"\[([^][]*)\]\((?![a-z]+:)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path, place in PAGES.items():
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to pages that were taken in lead there; links to other files of the repository become their names."""
    source = page.file.abs_src_path
    assert source is not None

    def lead(link: re.Match[str]) -> str:
        text, target, anchor = link.groups()
        path = Path(source).parent.joinpath(target).resolve()
        if path in PAGES:
            place = os.path.relpath(PAGES[path], Path(page.file.src_uri).parent)
            return f"[{text}]({place}{anchor or ''})"
        inside = path.is_relative_to(config.docs_dir) or not path.exists()
        return link.group() if inside else text

    return LINK.sub(lead, markdown)
