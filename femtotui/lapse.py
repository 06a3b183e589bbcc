"""The same prompt and seed, sampled again and again while a model learns: a film to wind back."""

from __future__ import annotations

from dataclasses import dataclass, field

from femtotui.core.sample import SampledToken, Sampling

MAX_FRAMES = 400


@dataclass(frozen=True)
class Scene:
    """What stays the same from frame to frame. A new scene begins a new film."""

    run: str
    prompt: bytes
    sampling: Sampling


@dataclass(frozen=True)
class Frame:
    """What the model wrote at a step."""

    step: int
    tokens: tuple[SampledToken, ...]


@dataclass
class Lapse:
    """The frames of one scene, in the order of their steps.

    When it is full, every second frame is dropped, so that it still reaches from the beginning to now.
    """

    scene: Scene | None = None
    frames: list[Frame] = field(default_factory=list)

    def record(self, scene: Scene, frame: Frame) -> None:
        """Add a frame; of a step that was reached twice (after a resume), the later one counts."""
        if scene != self.scene:
            self.scene, self.frames = scene, []
        self.frames = [old for old in self.frames if old.step < frame.step]
        self.frames.append(frame)
        if len(self.frames) > MAX_FRAMES:
            self.frames = [*self.frames[:-1:2], self.frames[-1]]

    def place(self, index: int) -> int:
        """`index`, brought within the film."""
        return min(max(index, 0), max(len(self.frames) - 1, 0))
