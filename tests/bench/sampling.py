"""Tokens per second of the sampler, on one BLAS thread.

    python tests/bench/sampling.py [PRESET...]

Random parameters cost as much as trained ones. The best of several rounds is printed, with the figures of
every token, and once with its ten best alternatives as well.
"""

from __future__ import annotations

import time

from harness import options

from femtotui.blas.kernel import limit_blas_threads

limit_blas_threads()

import msgspec  # noqa: E402  (NumPy reads the limit when it is first imported)

from femtotui.core.config import TokenizerConfig  # noqa: E402
from femtotui.core.model.parameters import initial_parameters  # noqa: E402
from femtotui.core.sampling.sampler import JOURNAL_SAMPLING, Sampler, Sampling  # noqa: E402
from femtotui.core.tokenizers import build_tokenizer  # noqa: E402
from femtotui.presets import load_preset, run_config  # noqa: E402

ROUNDS = 5
TOKENS = 640


def sampler_of(preset: str, recipe: str) -> Sampler:
    """A sampler of a preset's size over bytes, freshly initialised."""
    config = run_config(load_preset(preset), recipe=recipe)
    tokenizer = build_tokenizer(TokenizerConfig(kind="byte"), b"")
    model = msgspec.structs.replace(config.model, vocab_size=tokenizer.vocab_size)
    return Sampler(model, config.recipe, initial_parameters(model, config.recipe.init, 0), tokenizer)


def tokens_per_second(sampler: Sampler, sampling: Sampling, *, alternatives: bool = False) -> float:
    """The best of a few rounds."""
    best = 0.0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for token in sampler.generate(b"\n", TOKENS, sampling):
            if alternatives:
                _ = token.top
        best = max(best, TOKENS / (time.perf_counter() - began))
    return best


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("presets", nargs="*", metavar="PRESET", default=["2"])
    for preset in parser.parse_args().presets:
        for recipe in ("journal", "modern"):
            sampler = sampler_of(preset, recipe)
            speeds = {
                "temperature 1": tokens_per_second(sampler, Sampling()),
                "top-p 0.5": tokens_per_second(sampler, JOURNAL_SAMPLING),
                "greedy": tokens_per_second(sampler, Sampling(temperature=0)),
                "with alternatives": tokens_per_second(sampler, Sampling(), alternatives=True),
            }
            figures = ", ".join(f"{name} {speed:,.0f}" for name, speed in speeds.items())
            print(f"entry {preset}, {recipe}, tokens/s: {figures}", flush=True)


if __name__ == "__main__":
    main()
