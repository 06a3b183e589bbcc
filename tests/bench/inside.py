"""A move of the cursor in Inside, at entry 5's size with random parameters, under Pilot.

    PYTHONPATH=tests/support python tests/bench/inside.py --context 64 256

The work of the app for a key: its action, all that it changes, and every line of the text and the panel.
(Pilot's own keys wait for an idle app, which takes longer than that.) Beside it stands the time of the
background thread for a window of the text.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
from stage import training

from femtotui.blas.kernel import limit_blas_threads
from femtotui.core.run_folder.saved_model import SavedModel
from femtotui.core.sampling.sampler import Sampler, Sampling
from femtotui.core.tokenizers import ByteTokenizer
from femtotui.inspection.inside_view import InsidePanel
from femtotui.inspection.text_window import read_window
from femtotui.presets import load_preset, run_config
from femtotui.sampling.sample_screen import SampleScreen

SIZES = ((80, 24), (120, 36), (200, 50))
PROMPT = b"fn main() {"


def entry_5(context: int) -> SavedModel:
    config = run_config(load_preset("5"))
    model = msgspec.structs.replace(config.model, context=context, vocab_size=256)
    flat_P = np.random.default_rng(0).normal(0, 0.05, model.n_parameters).astype(np.float32)
    sampler = Sampler(model, config.recipe, flat_P, ByteTokenizer())
    return SavedModel(Path("random"), 1, msgspec.structs.replace(config, model=model), sampler)


def draw(screen: SampleScreen) -> None:
    for widget in (screen._view, screen._panels.query(InsidePanel).first()):
        for y in range(widget.content_size.height):
            widget.render_line(y)


async def measure(context: int, presses: int) -> None:
    saved = entry_5(context)
    tokens, at = list(saved.sampler.generate(PROMPT, 2 * context, Sampling(seed=1))), context - 20
    begin = time.perf_counter()
    window = read_window(saved.sampler, PROMPT, tokens, at)
    ms = 1000 * (time.perf_counter() - begin)
    print(f"context {context}: a window is read in {ms:.0f} ms and kept in {window.n_bytes / 2**20:.1f} MiB")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            async with training(Path(folder) / "runs", size=size) as it:
                await it.playing(3)
                await it.pilot.press("s")
                await it.until(lambda: isinstance(it.app.screen, SampleScreen))
                screen = it.app.screen
                assert isinstance(screen, SampleScreen)
                screen.reader.model = saved
                screen.look_into(PROMPT, tokens, at)
                await it.until(lambda: bool(screen.inside._windows))  # noqa: B023
                await it.pilot.pause()
                for name, press in keys_of(screen).items():
                    times = []
                    for n in range(presses):
                        begin = time.perf_counter()
                        press(n)
                        draw(screen)
                        times.append(1000 * (time.perf_counter() - begin))
                    figures = f"median {median(times):5.1f} ms, at most {max(times):5.1f} ms of {presses}"
                    print(f"  {size[0]}x{size[1]} {name:9} {figures}", flush=True)


def keys_of(screen: SampleScreen) -> dict[str, Callable[[int], object]]:
    return {
        "cursor": lambda n: (screen._view.action_move(-1 if n % 2 else 1), screen._show_inside()),
        "head": lambda n: screen.action_look("head", -1 if n % 2 else 1),
        "all heads": lambda _: screen.action_all_heads(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--context", nargs="+", type=int, default=[64, 256])
    parser.add_argument("--presses", type=int, default=40)
    asked = parser.parse_args()
    limit_blas_threads()
    for context in asked.context:
        asyncio.run(measure(context, asked.presses))


if __name__ == "__main__":
    main()
