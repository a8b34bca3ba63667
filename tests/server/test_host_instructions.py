"""`chargehand instructions`, and how the ledger changes the advice."""

import os
from pathlib import Path

import anyio
import pytest
import yaml
from memory_rows import losing_ledger
from running_server import OpenServer, Script, fenced

from chargehand.evaluation.peers.reply import Reply
from chargehand.profiles.price import in_dollars
from chargehand.server.cli import main
from chargehand.server.command.host_instructions import BEGIN, END, FORMS

LOST = in_dollars(3.0)
RULE_OF_THUMB = "more than about 200 tokens"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["instructions", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("form", [(), ("--for", "claude-code"), ("--for", "cursor"), ("--for", "agents-md")])
def test_every_form_says_when_to_delegate_and_when_not(capsys: pytest.CaptureFixture[str], form: tuple[str, ...]):
    text = printed(capsys, *form)

    assert RULE_OF_THUMB in " ".join(text.split())
    assert "## When it does not" in text
    assert "report_outcome" in text


@pytest.mark.parametrize(
    ("form", "path"),
    [("claude-code", ".claude/skills/chargehand/SKILL.md"), ("cursor", ".cursor/rules/chargehand.mdc")],
)
def test_a_skill_is_installed_at_the_hosts_path_with_valid_front_matter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, path: str
):
    printed(capsys, "--for", form, "--install", str(tmp_path))
    written = (tmp_path / path).read_text()

    front_matter = yaml.safe_load(written.split("---")[1])
    assert RULE_OF_THUMB in front_matter["description"]
    assert written == printed(capsys, "--for", form)


def test_a_fifo_at_the_target_path_is_left_unchanged(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    os.mkfifo(tmp_path / "AGENTS.md")

    assert main(["instructions", "--for", "agents-md", "--install", str(tmp_path)]) == 1

    assert "It is a device or a pipe" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "AGENTS.md").is_fifo()


def test_a_shared_file_keeps_foreign_text_and_only_our_section_is_updated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "AGENTS.md"
    file.write_text("# House rules\n\nUse tabs.\n")
    printed(capsys, "--for", "agents-md", "--install", str(tmp_path))
    once = file.read_text()
    file.write_text(once.replace("tabs", "spaces").replace("## How", "## Outdated") + "\nMore of theirs.\n")
    printed(capsys, "--for", "agents-md", "--install", str(tmp_path))
    twice = file.read_text()

    assert once.startswith("# House rules\n\nUse tabs.\n")
    assert twice.startswith("# House rules\n\nUse spaces.\n")
    assert twice.endswith("\nMore of theirs.\n")
    assert (twice.count(BEGIN), twice.count(END), "## Outdated" in twice) == (1, 1, False)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"Before.\n{BEGIN}\nours\n\nTheirs.\n", 2),
        (f"{END}\nTheirs.\n", 1),
        (f"{BEGIN}\nours\n\nTheirs.\n{BEGIN}\nours\n{END}\n", 5),
        (f"{BEGIN}\nours\n{END}\nTheirs.\n{END}\n", 5),
    ],
    ids=["begin alone", "end alone", "two begins", "two ends"],
)
def test_a_file_with_unbalanced_marks_is_left_unchanged_and_the_line_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, line: int
):
    monkeypatch.setenv("COLUMNS", "400")
    file = tmp_path / "AGENTS.md"
    file.write_text(text)

    assert main(["instructions", "--for", "agents-md", "--install", str(tmp_path)]) == 1

    assert file.read_text() == text
    assert f"AGENTS.md, line {line}:" in " ".join(capsys.readouterr().err.split())


def test_a_mark_quoted_within_a_line_does_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    quotation = f"Never touch what lies after {BEGIN} and before {END}.\n"
    file = tmp_path / "AGENTS.md"
    file.write_text(quotation)

    for _ in range(2):
        printed(capsys, "--for", "agents-md", "--install", str(tmp_path))

    text = printed(capsys, "--for", "agents-md")
    assert file.read_text() == f"{quotation}\n{BEGIN}\n{text}{END}\n"


@pytest.mark.parametrize("form", ["agents-md", "cursor"])
def test_a_file_with_windows_line_ends_keeps_them(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str):
    file = tmp_path / FORMS[form].path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"# House rules\r\n")

    printed(capsys, "--for", form, "--install", str(tmp_path))

    written = file.read_bytes()
    assert written.count(b"\n") == written.count(b"\r\n") > 20


def test_a_skill_edited_by_the_user_is_backed_up_when_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    printed(capsys, "--for", "claude-code", "--install", str(tmp_path))
    file = tmp_path / ".claude/skills/chargehand/SKILL.md"
    for edit in ("Ask Ada first.\n", "Ask Grace first.\n"):
        file.write_text(edit)
        main(["instructions", "--for", "claude-code", "--install", str(tmp_path)])

    errors = " ".join(capsys.readouterr().err.split())
    backups = sorted(file.parent.glob("SKILL.md.*"))
    assert [backup.read_text() for backup in backups] == ["Ask Ada first.\n", "Ask Grace first.\n"]
    assert all(backup.name in errors for backup in backups)
    assert file.read_text() == printed(capsys, "--for", "claude-code")


def test_a_missing_folder_is_refused_and_not_created(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    mistyped = tmp_path / "projcet"

    assert main(["instructions", "--for", "cursor", "--install", str(mistyped)]) == 1
    assert "is not a folder. Name your project's folder" in " ".join(capsys.readouterr().err.split())
    assert not mistyped.exists()


def test_install_without_for_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["instructions", "--install", str(tmp_path)]) == 1

    assert "--for claude-code or cursor or agents-md" in " ".join(capsys.readouterr().err.split())


def test_instructions_and_usage_name_a_task_type_that_loses_money(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    anyio.run(losing_ledger, tmp_path / "chargehand-home", "translation")

    text = printed(capsys, "--for", "claude-code")
    main(["usage"])
    usage = " ".join(capsys.readouterr().out.split())

    assert f"- it is translation: over 6 tasks here it cost {LOST} more than it was worth;" in text
    assert f"translation loses money: {LOST} was spent on 6 task(s)" in usage


@pytest.mark.anyio
async def test_route_task_warns_of_a_task_type_that_loses_money(open_server: OpenServer, tmp_path: Path):
    await losing_ledger(tmp_path / "chargehand-home", "translation")
    async with open_server(Script({"qwen3:30b-a3b": [Reply(fenced("x = 1"))]})) as server:
        lost = await server.call("route_task", task="Translate this page", task_type="translation")
        other = await server.call("route_task", task="Rename a variable", task_type="refactoring")

    assert any(
        f"Delegating translation has cost {LOST} more than it was worth" in warning for warning in lost["warnings"]
    )
    assert not any("Delegating" in warning for warning in other["warnings"])
