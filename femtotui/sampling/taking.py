"""What one takes away from the sampling screen: files in several forms, and copies for other programs."""

from __future__ import annotations

from femtotui.core.errors import FemtoError

from ..paths import lasting_path
from ..text.safe import one_line, plain_text
from ..tokens.export_formats import Sample, export, log_prob_lines
from ..widgets.dialogs import AskRow
from .showing import Mode, ShowingScreen


class TakingScreen(ShowingScreen):
    """Whatever is shown can be copied, or saved as text, JSON, log-probs, SVG or HTML."""

    def action_export(self) -> None:
        self.query_one(AskRow).ask("export", "save as (.txt .json .logprobs .svg .html)", "sample.svg")

    def _sample_shown(self) -> Sample:
        prompt, tokens = self._shown
        title = "femtotui" if self.model is None else self.model.name
        seed = self._fields.asked.sampling.seed if self._mode is Mode.WRITE else None
        return Sample(prompt, tokens, title, seed, is_dark=self.app.current_theme.dark)

    def export(self, name: str) -> None:
        """Save what is shown in the form that the file's ending names."""
        try:
            path = lasting_path(name)
            export(self._sample_shown(), path)
        except FemtoError as error:
            self.say(f"{error.title}: {error}")
            return
        self.notify(f"saved as {one_line(str(path))}", markup=False)

    def action_copy_text(self) -> None:
        prompt, tokens = self._shown
        self.app.copy_to_clipboard(plain_text(prompt + b"".join(token.bytes for token in tokens)))
        self.notify(f"{len(tokens):,} tokens copied as text")

    def action_copy_log_probs(self) -> None:
        self.app.copy_to_clipboard(log_prob_lines(self._shown[1]))
        self.notify(f"{len(self._shown[1]):,} tokens copied with their log-probs")
