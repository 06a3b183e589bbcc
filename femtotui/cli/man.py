"""The manual page, made from the commands: `python -m femtotui.cli.man > docs/femtotui.1`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from .. import __version__
from .main import GROUPS, cli


def manual_page() -> str:
    """The page in man's own markup (roff)."""
    context = click.Context(cli, info_name="femtotui")
    return "\n".join([*_head(), *_commands(context), ""])


def _head() -> Iterator[str]:
    yield f'.TH FEMTOTUI 1 "" "femtotui {__version__}" "User Commands"'
    yield ".SH NAME"
    yield r"femtotui \- train tiny GPTs and watch them learn"
    yield ".SH SYNOPSIS"
    yield r".B femtotui"
    yield _escaped("[PRESET | RUN] | COMMAND [OPTIONS] [ARGUMENTS]")
    yield ".SH DESCRIPTION"
    yield from _paragraphs((cli.help or "").split("\n\n", 1)[1])
    for variable, meaning in (
        ("FEMTOTUI_RUNS", "The folder of all runs."),
        ("FEMTOTUI_CONFIG", "The folder of settings.toml and of your presets."),
        ("FEMTOTUI_CACHE", "The folder of downloads and measurements."),
    ):
        yield from (".TP", f".B {variable}", meaning)


def _commands(context: click.Context) -> Iterator[str]:
    for heading, names in GROUPS.items():
        yield f".SH {_escaped(heading.upper())}"
        for name in names:
            command = cli.get_command(context, name)
            assert command is not None
            yield from _command(command, click.Context(command, parent=context, info_name=name))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f".SS {_escaped(command.get_usage(context).removeprefix('Usage: '))}"
    yield from _paragraphs(command.help or "")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1] and "--help" not in record[0]:
            yield from (".TP", f".B {_escaped(record[0])}", _escaped(record[1]))
    for line, what in getattr(command, "examples", {}).items():
        yield from (".TP", rf".I {_escaped(f'femtotui {line}'.strip())}", _escaped(what))


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        yield from (".PP", _escaped(" ".join(paragraph.split())))


def _escaped(text: str) -> str:
    r"""Text that man does not obey, with its backslashes, dashes, and dots at the start of a line."""
    text = " ".join(text.split()).replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    print(manual_page(), end="")
