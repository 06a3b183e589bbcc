"""The tree of branches: which ways the text took, and which one is shown."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ..branches import Branch, Branches, branch_line


class BranchList(OptionList):
    """One branch a line; Enter, or a click, shows it."""

    DEFAULT_CSS = """
    BranchList {
        height: auto;
        max-height: 8;
        border: round $foreground 25%;
        border-title-color: $text-muted;
        padding: 0 1;
        background: transparent;
        scrollbar-size-vertical: 1;
        &:focus { border: round $border; border-title-color: $text; }
    }
    """

    @dataclass
    class Chosen(Message):
        """A person wants to see a branch."""

        branch: Branch

    def __init__(self) -> None:
        super().__init__(id="branches")
        self.border_title = "branches"
        self._branches: list[Branch] = []

    def show(self, branches: Branches) -> None:
        """Draw the tree; with one branch there is nothing to see."""
        self._branches = branches.in_order()
        self.display = len(self._branches) > 1
        if not self.display:
            return
        width = max(self.content_size.width - 2, 12)
        self.clear_options()
        for branch in self._branches:
            mark = "●" if branch is branches.current else " "
            self.add_option(Option(Content(f"{mark} {branch_line(branch, width)}")))
        self.highlighted = self._branches.index(branches.current)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Chosen(self._branches[event.option_index]))
