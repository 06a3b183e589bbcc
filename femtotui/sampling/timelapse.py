"""The same prompt and seed, sampled again and again while a model learns: a film to wind back.

What was drawn for the screen has its probabilities, in outline; what the run folder kept of earlier sessions
is text. A full film takes `MAX_FRAMES` x `SAMPLE_TOKENS` x `TOKEN.itemsize` = 400 x 160 x 138 bytes, 8.4 MiB,
whatever the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from femtotui.core.run_folder.logs import read_samples
from femtotui.core.sampling.outline import TOKEN, pack, unpack
from femtotui.core.sampling.sampler import JOURNAL_PROMPT, JOURNAL_SAMPLING, SampledToken, Sampling

from .stream import SAMPLE_TOKENS

MAX_FRAMES = 400
MAX_BYTES = MAX_FRAMES * SAMPLE_TOKENS * TOKEN.itemsize
"""What the tokens of a film can take."""


@dataclass(frozen=True)
class Scene:
    """What stays the same from frame to frame. A new scene begins a new film."""

    run: str
    prompt: bytes
    sampling: Sampling


@dataclass(frozen=True, eq=False)
class Frame:
    """What the model wrote at a step: tokens, packed, or `text` alone where nobody kept probabilities."""

    step: int
    packed_N: NDArray[Any]
    text: bytes = b""


@dataclass
class Timelapse:
    """The frames of one scene, in the order of their steps.

    When it is full, every second frame is dropped, so that it still reaches from the beginning to now.
    """

    scene: Scene | None = None
    frames: list[Frame] = field(default_factory=list)
    _vocabulary: Sequence[bytes] = ()

    def record(self, scene: Scene, step: int, tokens: Sequence[SampledToken]) -> None:
        """Add a frame; of a step that was reached twice (after a resume), the later one counts."""
        if scene != self.scene:
            self.scene, self.frames = scene, []
        if tokens:  # every snapshot brings a list of its own of the same vocabulary: one is enough
            self._vocabulary = tokens[0].place.vocabulary
        earlier = [old for old in self.frames if old.step < step]
        self.frames = _thinned([*earlier, Frame(step, pack(tokens))])

    def recall(self, scene: Scene, kept: Sequence[Frame]) -> None:
        """Put the frames of an earlier session before those of this one.

        A film of another run makes room for them, one of the same run after another prompt does not.
        """
        if self.scene is not None and self.scene.run != scene.run:
            self.scene, self.frames = None, []
        if self.scene not in (None, scene):
            return
        earlier = [frame for frame in kept if not self.frames or frame.step < self.frames[0].step]
        if earlier:
            self.scene, self.frames = scene, _thinned([*earlier, *self.frames])

    def tokens(self, frame: Frame) -> list[SampledToken]:
        """The tokens of a frame, for the panels; none of one that is text alone."""
        return [] if self.scene is None else unpack(frame.packed_N, self.scene.sampling, self._vocabulary)

    def place(self, index: int) -> int:
        """`index`, brought within the film."""
        return min(max(index, 0), max(len(self.frames) - 1, 0))


def kept_film(run: Path) -> tuple[Scene, list[Frame]]:
    """What a run folder has of the journal's own prompt and sampler, which it samples at every checkpoint."""
    prompt, seed = JOURNAL_PROMPT.decode(), JOURNAL_SAMPLING.seed
    by_step = {
        sample.step: Frame(sample.step, pack(()), sample.text.encode("utf-8", "replace"))
        for sample in read_samples(run)
        if (sample.prompt, sample.seed) == (prompt, seed)
    }
    return Scene(str(run), JOURNAL_PROMPT, JOURNAL_SAMPLING), [by_step[step] for step in sorted(by_step)]


def _thinned(frames: list[Frame]) -> list[Frame]:
    while len(frames) > MAX_FRAMES:
        frames = [*frames[:-1:2], frames[-1]]
    return frames
