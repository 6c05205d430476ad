"""Every command of the README and of docs/ is typed, page by page and in order; what cannot run is named with the reason."""

import json
import re
from dataclasses import fields
from inspect import signature

import pytest
from documents.not_run import NOT_RUN, reason_not_to_run
from documents.pages import PAGES, fences, inline_commands

import ringsam.commands as commands
from ringsam.cli import COMMANDS
from ringsam.commands.results import BenchArguments
from ringsam.config import setting_names

ELSEWHERE = {
    "troubleshooting.md": "its commands fail as they should: tests/test_troubleshooting.py",
    "take-away.md": "its masks are compared too: test_take_away.py",
}
TYPED = [page for page in PAGES if page.name not in ELSEWHERE]
LINES = [
    line
    for page in PAGES
    for fence in fences(page)
    if fence.language == "bash"
    for line in fence.lines()
]


@pytest.mark.slow
@pytest.mark.parametrize("page", TYPED, ids=lambda page: page.name)
def test_a_page_is_typed_from_top_to_bottom(page, walk):
    to_type = [fence for fence in fences(page) if fence.language in ("bash", "python")]
    for fence in to_type:
        walk.type(fence)
    lines = [line for fence in to_type if fence.language == "bash" for line in fence.lines()]
    num_python = sum(fence.language == "python" for fence in to_type)
    num_not_run = sum(reason_not_to_run(line) is not None for line in lines)
    assert walk.num_run == len(lines) + num_python - num_not_run


def test_nothing_is_left_out_without_need():
    for left_out in NOT_RUN:
        assert any(re.match(left_out.pattern, line) for line in LINES), left_out.reason
    assert len(LINES) > 40
    assert sum(reason_not_to_run(line) is not None for line in LINES) <= len(LINES) // 3


def test_every_block_is_of_a_kind_that_is_looked_at():
    for page in PAGES:
        for fence in fences(page):
            assert fence.language in ("bash", "python", "text", "json", ""), fence.place
            if fence.language == "json":
                json.loads(fence.text)
            if fence.language in ("text", ""):
                assert not fence.text.startswith(("ringsam ", "$ ")) or ": " in fence.text, (
                    fence.place
                )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_flags_in_running_text_exist(page):
    for words in inline_commands(page):
        named = re.match(r"ringsam ([a-z]+)", words)
        known = flags_of(named[1]) if named else set.union(*map(flags_of, COMMANDS))
        assert set(re.findall(r"--([a-z_.]+)", words)) <= known | {"help"}, f"{page.name}: {words}"


def flags_of(command: str) -> set[str]:
    """Of a command that exists."""
    if command in ("train", "plan", "doctor"):
        return {*setting_names(), "recipe", "out"}
    if command == "bench":
        return {field.name for field in fields(BenchArguments)}
    assert command in COMMANDS
    return set(
        signature(getattr(commands, "import_" if command == "import" else command)).parameters
    )
