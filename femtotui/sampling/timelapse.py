"""The same prompt and seed, sampled again and again while a model learns: frames to scrub through.

Frames drawn for the screen keep their probabilities, in outline; those that the run folder kept of earlier
sessions are text. A full time-lapse takes `MAX_FRAMES` x `SAMPLE_TOKENS` x `TOKEN.itemsize` = 400 x 160 x 138
bytes, 8.4 MiB, whatever the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from femtotui.core.run_folder.logs import read_samples
from femtotui.core.sampling.distribution import pack, unpack
from femtotui.core.sampling.sampler import JOURNAL_PROMPT, JOURNAL_SAMPLING, SampledToken, Sampling

from ..tokens.scoring import ScoredText

MAX_FRAMES = 400


@dataclass(frozen=True)
class SampleSetup:
    """The run, prompt and sampler settings that all frames share. Another setup begins a new time-lapse."""

    run: str
    prompt: bytes
    sampling: Sampling


@dataclass(frozen=True, eq=False)
class SampleFrame:
    """The sample of a step: packed tokens, or `text` alone where no probabilities were kept."""

    step: int
    packed_N: NDArray[Any]
    text: bytes = b""


@dataclass
class Timelapse:
    """The frames of one setup, in the order of their steps.

    When it is full, every second frame is dropped, so that it still covers the run from its beginning.
    """

    setup: SampleSetup | None = None
    frames: list[SampleFrame] = field(default_factory=list)
    _vocabulary: Sequence[bytes] = ()

    def record(self, setup: SampleSetup, step: int, tokens: Sequence[SampledToken]) -> None:
        """Add a frame; of a step that was reached twice (after a resume), the later one counts."""
        if setup != self.setup:
            self.setup, self.frames = setup, []
        if tokens:  # every snapshot brings its own list of the same vocabulary: one is enough
            self._vocabulary = tokens[0].distribution.vocabulary
        earlier = [old for old in self.frames if old.step < step]
        self.frames = _thinned([*earlier, SampleFrame(step, pack(tokens))])

    def restore(self, setup: SampleSetup, logged: Sequence[SampleFrame]) -> None:
        """Put the frames of an earlier session before those of this one.

        They replace the time-lapse of another run, but not that of another prompt of the same run.
        """
        if self.setup is not None and self.setup.run != setup.run:
            self.setup, self.frames = None, []
        if self.setup not in (None, setup):
            return
        earlier = [frame for frame in logged if not self.frames or frame.step < self.frames[0].step]
        if earlier:
            self.setup, self.frames = setup, _thinned([*earlier, *self.frames])

    def text(self, frame: SampleFrame) -> ScoredText:
        """The text of a frame: with its tokens, or as a prompt where no probabilities were kept."""
        if self.setup is None:
            return ScoredText()
        tokens = unpack(frame.packed_N, self.setup.sampling, self._vocabulary)
        return ScoredText(self.setup.prompt + frame.text, tokens)


class TimelapsePlayer:
    """A position in a time-lapse, which stays on the newest frame once it is there."""

    def __init__(self, timelapse: Timelapse) -> None:
        self.timelapse = timelapse
        self._index = self._n_frames = 0

    @property
    def text(self) -> ScoredText:
        """The text of the current frame, empty if there is none."""
        return self.timelapse.text(self._frame) if self.timelapse.frames else ScoredText()

    @property
    def _frame(self) -> SampleFrame:
        return self.timelapse.frames[min(self._index, len(self.timelapse.frames) - 1)]

    @property
    def caption(self) -> str:
        """The step of the current frame, its number, and the figures of its text."""
        text = self.text
        figures = text.figures if text.tokens else "as the run kept it, without its probabilities"
        n_frames = len(self.timelapse.frames)
        return f"step {self._frame.step:,} · {min(self._index + 1, n_frames)} of {n_frames} · {figures}"

    def restore(self, run: Path | None) -> None:
        """Add the frames that a run folder kept of earlier sessions."""
        if run is not None:
            self.timelapse.restore(*logged_frames(run))

    def move(self, by: int) -> None:
        """Move by some frames, within the time-lapse."""
        self._n_frames = len(self.timelapse.frames)
        self._index = min(max(self._index + by, 0), max(self._n_frames - 1, 0))

    def move_to_newest(self) -> None:
        self.move(len(self.timelapse.frames))

    def follow(self) -> bool:
        """Move from the newest frame to a newer one; whether there was one."""
        was_newest = self._index + 1 == self._n_frames
        is_newer = was_newest and len(self.timelapse.frames) > self._n_frames
        self._n_frames = len(self.timelapse.frames)
        if is_newer:
            self.move_to_newest()
        return is_newer


def logged_frames(run: Path) -> tuple[SampleSetup, list[SampleFrame]]:
    """The frames in a run folder: it samples at every checkpoint, with the journal's prompt and sampler."""
    prompt, seed = JOURNAL_PROMPT.decode(), JOURNAL_SAMPLING.seed
    by_step = {
        sample.step: SampleFrame(sample.step, pack(()), sample.text.encode("utf-8", "replace"))
        for sample in read_samples(run)
        if (sample.prompt, sample.seed) == (prompt, seed)
    }
    return SampleSetup(str(run), JOURNAL_PROMPT, JOURNAL_SAMPLING), [
        by_step[step] for step in sorted(by_step)
    ]


def _thinned(frames: list[SampleFrame]) -> list[SampleFrame]:
    while len(frames) > MAX_FRAMES:
        frames = [*frames[:-1:2], frames[-1]]
    return frames
