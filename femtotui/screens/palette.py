"""Textual's command palette, without the haste that ends the app in Textual 8.2.8."""

from __future__ import annotations

from textual.command import Command, CommandList, CommandPalette

from .in_turn import InTurn


class Palette(CommandPalette, InTurn[None]):
    """One that can be closed while it searches, and paged through before its list is laid out."""

    def _refresh_command_list(
        self, command_list: CommandList, commands: list[Command], clear_current: bool
    ) -> None:
        if self.query(CommandList):
            super()._refresh_command_list(command_list, commands, clear_current)

    def _action_command_list(self, action: str) -> None:
        if any(command_list.size for command_list in self.query(CommandList)):
            super()._action_command_list(action)
