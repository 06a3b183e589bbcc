"""The texts written from one prompt as a tree of branches, with undo and redo."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from femtotui.core.sampling.sampler import SampledToken

from ..text.safe import one_line
from ..tokens.scoring import ScoredText

MAX_BRANCHES = 200


@dataclass(eq=False)
class Branch:
    """One continuation: all its `tokens`, of which those before index `at` are those of `parent`."""

    parent: Branch | None
    at: int
    tokens: list[SampledToken] = field(default_factory=list)

    @property
    def depth(self) -> int:
        """The number of branchings before it."""
        return 0 if self.parent is None else self.parent.depth + 1


class Branches:
    """The branches of one prompt, of which one is shown.

    Undo and redo go through the branches that were shown, as a browser does: a new branch discards what lay
    ahead, but that stays in the tree.
    """

    def __init__(self, prompt: bytes = b"", tokens: Iterable[SampledToken] = ()) -> None:
        self.prompt = prompt
        root = Branch(None, 0, list(tokens))
        self.all: list[Branch] = [root]
        self._shown: list[Branch] = [root]
        self._position = 0

    @property
    def current(self) -> Branch:
        return self._shown[self._position]

    @property
    def text(self) -> ScoredText:
        """The prompt and the tokens of the current branch."""
        return ScoredText(self.prompt, self.current.tokens)

    @property
    def can_undo(self) -> bool:
        return self._position > 0

    @property
    def can_redo(self) -> bool:
        return self._position + 1 < len(self._shown)

    @property
    def is_full(self) -> bool:
        """Whether no more branches are kept."""
        return len(self.all) >= MAX_BRANCHES

    def branch(self, at: int, token: SampledToken) -> Branch:
        """Add and show a branch of the current one, with `token` in place of the one at `at`."""
        branch = Branch(self.current, at, [*self.current.tokens[:at], token])
        self.all.append(branch)
        self.go_to(branch)
        return branch

    def go_to(self, branch: Branch) -> None:
        if branch is self.current:
            return
        del self._shown[self._position + 1 :]
        self._shown.append(branch)
        self._position += 1

    def undo(self) -> Branch:
        """Show the branch that was shown before."""
        self._position = max(self._position - 1, 0)
        return self.current

    def redo(self) -> Branch:
        """Show the branch that `undo` left."""
        self._position = min(self._position + 1, len(self._shown) - 1)
        return self.current

    def in_order(self) -> list[Branch]:
        """All branches, each under its parent, later branching points first."""
        children: dict[int, list[Branch]] = {}
        for branch in self.all[1:]:
            children.setdefault(id(branch.parent), []).append(branch)
        ordered, waiting = [], [self.all[0]]
        while waiting:
            branch = waiting.pop()
            ordered.append(branch)
            waiting += sorted(children.get(id(branch), ()), key=lambda child: child.at)
        return ordered


def branch_line(branch: Branch, width: int) -> str:
    """A branch on one line, inert: its depth, where it left its parent, and its text from there."""
    text = b"".join(token.bytes for token in branch.tokens[branch.at :]).replace(b"\n", b" ")
    lead = "" if branch.parent is None else "  " * min(branch.depth - 1, 4) + f"└{branch.at} "
    return one_line(lead + one_line(text), width)


class BranchList(OptionList):
    """One branch per line; Enter, or a click, shows it."""

    @dataclass
    class Chosen(Message):
        """The user wants to see a branch."""

        branch: Branch

    def __init__(self) -> None:
        super().__init__(id="branches")
        self.border_title = "branches"
        self._branches: list[Branch] = []

    def show(self, branches: Branches) -> None:
        """Draw the tree; a single branch needs no list."""
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
