"""How many tokens a second the sampler gives, on one BLAS thread.

    python tests/bench/sampling.py [PRESET...]

Random parameters cost as much as trained ones. The best of several rounds is printed, with the figures of
every token, and once with the ten best alternatives looked at, too.
"""

from __future__ import annotations

import sys
import time

from femtotui.blas.kernel import limit_blas_threads

limit_blas_threads()

import msgspec  # noqa: E402  (NumPy reads the limit when it is first imported)

from femtotui.core.config import TokenizerConfig  # noqa: E402
from femtotui.core.model.parameters import initial_parameters  # noqa: E402
from femtotui.core.sampling.sampler import JOURNAL_SAMPLING, Sampler, Sampling  # noqa: E402
from femtotui.core.tokenizers.tokenizer import build_tokenizer  # noqa: E402
from femtotui.presets import load_preset, run_config  # noqa: E402

ROUNDS = 5
TOKENS = 640


def sampler_of(preset: str, recipe: str) -> Sampler:
    """A sampler of a preset's size over bytes, freshly initialised."""
    config = run_config(load_preset(preset), recipe=recipe)
    tokenizer = build_tokenizer(TokenizerConfig(kind="byte"), b"")
    model = msgspec.structs.replace(config.model, vocab_size=tokenizer.vocab_size)
    return Sampler(model, config.recipe, initial_parameters(model, config.recipe.init, 0), tokenizer)


def tokens_per_second(sampler: Sampler, sampling: Sampling, *, look: bool) -> float:
    """The best of a few rounds."""
    best = 0.0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for token in sampler.generate(b"\n", TOKENS, sampling):
            if look:
                _ = token.top
        best = max(best, TOKENS / (time.perf_counter() - began))
    return best


def main() -> None:
    """One line a preset and recipe."""
    for preset in sys.argv[1:] or ("2",):
        for recipe in ("journal", "modern"):
            sampler = sampler_of(preset, recipe)
            speeds = {
                "temperature 1": tokens_per_second(sampler, Sampling(), look=False),
                "top-p 0.5": tokens_per_second(sampler, JOURNAL_SAMPLING, look=False),
                "greedy": tokens_per_second(sampler, Sampling(temperature=0), look=False),
                "with alternatives": tokens_per_second(sampler, Sampling(), look=True),
            }
            figures = ", ".join(f"{name} {speed:,.0f}" for name, speed in speeds.items())
            print(f"entry {preset}, {recipe}, tokens/s: {figures}")


if __name__ == "__main__":
    main()
