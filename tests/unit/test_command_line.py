"""The command line as a person and as a script meet it: help, exit codes, mistakes, completion, silence."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from framefuse import logs
from framefuse.cli import ending
from framefuse.cli.completing import stream_ids
from framefuse.cli.main import app
from framefuse.errors import Stop
from framefuse.terminal import watched

pytestmark = pytest.mark.usefixtures("logging_as_before")
HERE = {name: value for name, value in os.environ.items() if not name.startswith("FRAMEFUSE_")}
_STATUS = re.compile(r"(?:Exit status:?|[·,]) (\d+) ")


def framefuse(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The program, as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "framefuse", *arguments],
        env={**HERE, "XDG_DATA_HOME": "/nowhere", "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def told(*arguments: str) -> tuple[int, str, str]:
    """The same within this process, which is quicker: exit code, stdout, stderr."""
    done = CliRunner().invoke(app, [*arguments], env={"XDG_DATA_HOME": "/nowhere", "COLUMNS": "200"})
    return done.exit_code, done.stdout, done.stderr


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its path, groups too."""
    root = typer.main.get_command(app)

    def within(path: str, command: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer's copy of click
        yield path, command
        if hasattr(command, "list_commands"):
            context = command.make_context(path, [], resilient_parsing=True)
            for name in command.list_commands(context):
                yield from within(f"{path} {name}", command.get_command(context, name))

    yield from within("framefuse", root)


COMMANDS: Mapping[str, Any] = dict(commands())


# Help


@pytest.mark.parametrize("path", COMMANDS)
def test_every_help_has_examples_of_itself(path: str) -> None:
    text = Text.from_markup(COMMANDS[path].help or "").plain

    examples = [line.strip() for line in text.splitlines() if line.strip().startswith("framefuse ")]

    assert [one for one in examples if one.startswith(path)], text


@pytest.mark.parametrize("path", COMMANDS)
def test_examples_have_only_commands_and_options_that_there_are(path: str) -> None:
    text = Text.from_markup(COMMANDS[path].help or "").plain
    for line in text.splitlines():
        if line.strip().startswith("framefuse "):
            mine = re.split(r" [|&—(]| → ", line.strip())[0].split()
            told = max((one for one in COMMANDS if mine[: len(one.split())] == one.split()), key=len)
            known = {name for parameter in COMMANDS[told].params for name in parameter.opts}
            asked = {word.partition("=")[0] for word in mine if word.startswith("-")}
            assert asked <= known | {"--help"}, line


# Exit codes


def test_every_exit_code_of_a_command_is_one_of_those_that_the_program_documents() -> None:
    documented = set(re.findall(r"(\d+) ", Text.from_markup(ending.EXIT_CODES).plain))
    found = {
        (path, code)
        for path, command in COMMANDS.items()
        for code in _STATUS.findall(" ".join((command.help or "").split()))
    }

    assert len(found) > 10
    assert {code for _, code in found} <= documented


def test_0_is_done() -> None:
    assert framefuse("--version").returncode == 0
    assert told("--version")[0] == 0


def test_1_is_not_well() -> None:
    done = framefuse("doctor", "--json")

    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["well"] is False
    (broker,) = [one for one in report["findings"] if one["subject"] == "broker"]
    assert broker["mend"] in ("framefuse broker up", "export FRAMEFUSE_BOOTSTRAP=127.0.0.1:9092")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("infer nowhere.jpg", "error: nowhere.jpg: no such file or folder\n"),
        ("publish nowhere.mp4", "error: nowhere.mp4: no such file or folder\n"),
        ("broker up --data {file}/broker", "error: "),
        ("topics list", "error: no broker"),
        ("watch --save x.mp4", "error: --save films one stream"),
    ],
)
def test_2_is_what_cannot_be_done_as_asked_in_one_line(command: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, out, errors = told(*command.format(file=tmp_path / "file").split())

    assert (code, out) == (2, "")
    assert errors.startswith(said)
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--max-det", "No such option: --max-det: say it as FRAMEFUSE_DETECTION_MAX_DET."),
        ("--runtime", "say it as FRAMEFUSE_DETECTION_RUNTIME or FRAMEFUSE_DEPTH_RUNTIME."),
        ("--classses", "No such option: --classses"),
    ],
)
def test_infer_names_the_variable_of_an_option_that_only_run_has(option: str, said: str) -> None:
    code, _, errors = told("infer", "photo.jpg", option, "4")
    assert code == 2
    assert said in errors


def test_a_misspelt_variable_is_told_once_by_every_command_and_nothing_is_told_of_a_good_one(
    tmp_path: Path,
) -> None:
    status = ("broker", "status", "--json", "--data", str(tmp_path))

    misspelt = framefuse(*status, FRAMEFUSE_DETECTOIN_MODEL="x.onnx")
    good = framefuse(*status, FRAMEFUSE_DETECTION_MODEL="x.onnx", FRAMEFUSE_PREFIX="yard")

    assert misspelt.stderr == (
        "warning: nothing reads FRAMEFUSE_DETECTOIN_MODEL: "
        "unset FRAMEFUSE_DETECTOIN_MODEL; export FRAMEFUSE_DETECTION_MODEL=…\n"
    )
    assert json.loads(misspelt.stdout) == {"running": False, "answers": False}
    assert good.stderr == ""


def test_3_is_a_broker_that_does_not_run(tmp_path: Path) -> None:
    done = framefuse("broker", "status", "--json", "--data", str(tmp_path))

    assert done.returncode == 3
    assert json.loads(done.stdout) == {"running": False, "answers": False}


@pytest.fixture
def broken_package(tmp_path: Path) -> str:
    """A package of somebody else that brings a command with a mistake in it; where it is."""
    info = tmp_path / "theirs-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[framefuse.commands]\ncount = theirs:count\nlost = nowhere:x\n")
    (tmp_path / "theirs.py").write_text("def count() -> None:\n    print({}['frames'])\n")
    return str(tmp_path)


def test_70_is_a_bug_without_a_traceback_and_says_how_to_see_it(broken_package: str) -> None:
    done = framefuse("count", PYTHONPATH=broken_package)

    assert done.returncode == 70
    assert done.stderr.splitlines() == [
        "bug: KeyError: 'frames'",
        "That is a mistake in framefuse. 'framefuse --debug count' shows where it is.",
    ]


@pytest.mark.parametrize("arguments", [("--debug", "count"), ("count", "--debug")])
def test_debug_shows_the_traceback_wherever_it_stands(
    arguments: tuple[str, ...], broken_package: str
) -> None:
    done = framefuse(*arguments, PYTHONPATH=broken_package)

    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "theirs.py" in done.stderr


def test_a_package_that_cannot_be_imported_spoils_its_own_command_only(broken_package: str) -> None:
    assert "Cannot be loaded: ModuleNotFoundError" in framefuse("--help", PYTHONPATH=broken_package).stdout
    assert framefuse("lost", PYTHONPATH=broken_package).returncode == 70


def test_130_is_ctrl_c() -> None:
    assert ending.end_with(KeyboardInterrupt(), "watch") == 130


def test_141_is_a_reader_that_went_away(broken_package: str) -> None:
    Path(broken_package, "theirs.py").write_text(
        "def count() -> None:\n    for n in range(100_000):\n        print(n)\n"
    )
    command = f"{sys.executable} -m framefuse count | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        env={**HERE, "PYTHONPATH": broken_package},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (141, "0\n", "")


# Mistakes


@pytest.mark.parametrize("verb", ["replay", "dismiss"])
def test_help_says_how_many_letters_are_asked_about(verb: str) -> None:
    _, output, _ = told("dead-letters", verb, "--help")

    assert "more than 10 are asked about" in " ".join(output.split())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("doctr", "Did you mean 'doctor'?"),
        ("broker upp", "Did you mean 'up'?"),
        ("dead-letters lst", "Did you mean 'list'?"),
        ("publish --limt 3 x.mp4", "--limit"),
        ("run detecton", "did you mean detection?"),
    ],
)
def test_what_is_misspelt_is_answered_with_what_was_meant(typed: str, meant: str) -> None:
    code, _, errors = told(*typed.split())

    assert code == 2
    assert meant in errors


# Completion


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("framefuse do", "doctor"),
        ("framefuse run de", "depth\ndetection"),
        ("framefuse watch --js", "--json"),
    ],
)
def test_the_shell_completes_commands_stages_and_options(typed: str, offered: str) -> None:
    words = typed.split(" ")
    asked = {"_FRAMEFUSE_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    program = Path(sys.executable).with_name("framefuse")
    found = subprocess.run([program], env={**HERE, **asked}, capture_output=True, text=True, check=False)

    assert sorted(found.stdout.split()) == offered.split()


def test_without_a_broker_no_stream_is_offered_and_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRAMEFUSE_BOOTSTRAP", "127.0.0.1:1")

    assert stream_ids("ga") == []
    assert capfd.readouterr() == ("", "")


# Silence


def test_nothing_moves_where_nobody_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    _, end = pty.openpty()
    with os.fdopen(end, "w") as terminal, (tmp_path / "log").open("w") as file:
        assert watched(Console(file=terminal))
        assert not watched(Console(file=file, force_terminal=True))
        monkeypatch.setenv("CI", "false")
        assert watched(Console(file=terminal))
        monkeypatch.setenv("CI", "true")
        assert not watched(Console(file=terminal))
        monkeypatch.delenv("CI")
        monkeypatch.setenv("TERM", "dumb")
        assert not watched(Console(file=terminal))


def test_an_error_among_logs_that_machines_read_is_one_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        logs.configure(as_json=True)
        assert ending.end_with(Stop("./results may not be written"), "run object-store") == 2
        told = json.loads(capsys.readouterr().err)
        assert (told["level"], told["event"]) == ("error", "./results may not be written")

        logs.configure(as_json=True, quiet=True)
        ending.end_with(Stop("no broker"), "audit")
        assert capsys.readouterr().err == "error: no broker\n"
    finally:
        logs.configure(quiet=True)
