"""The command `femtotui sample`: text from a run or a checkpoint, or a text's score, without the app."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from femtotui.core.errors import ConfigError, DataError, TokenizerError

from ..paths import runs_folder
from .options import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from femtotui.core.sampling.sampler import SampledToken, Sampler, Sampling


MAX_TEXT_BYTES = 64 * 1024 * 1024
JSON_ALTERNATIVES = 10
STDIN = "-"

_PROMPT_HELP = (
    "What to continue, exactly as given (default: standard input if something is piped in, else a newline)."
)


@click.command()
@click.argument("model", metavar="RUN|CHECKPOINT")
@click.option("--prompt", metavar="TEXT", help=_PROMPT_HELP)
@click.option("--prompt-file", metavar="FILE", help="The same, from a file; - is standard input.")
@click.option("-n", "--tokens", "n_tokens", type=int, help="How many tokens (default: 100).")
@click.option("--temperature", type=float, help="0 takes the most probable always (default: 1).")
@click.option("--top-k", type=int, help="Keep the K most probable; 0 keeps all (default: 0).")
@click.option("--top-p", type=float, help="Keep the most probable up to this share (default: 1, all).")
@click.option("--journal", is_flag=True, help="The journal's own sampler: top-p 0.5, a newline, 100 tokens.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same text.")
@click.option(
    "--logprobs",
    type=int,
    metavar="K",
    help="A line a token: it, its probability, and the K likeliest there.",
)
@click.option("--score", metavar="FILE", help="Score this text instead of making one; - is standard input.")
@click.option("--drop-unknown", is_flag=True, help="Leave out characters that the tokenizer lacks.")
@click.option("--runs", metavar="DIR", help="The folder of all runs (default: FEMTOTUI_RUNS, or your own).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: text, tokens, and all about them.")
def sample(
    model: str,
    prompt: str | None,
    prompt_file: str | None,
    n_tokens: int | None,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    journal: bool,
    seed: int,
    logprobs: int | None,
    score: str | None,
    drop_unknown: bool,
    runs: str | None,
    as_json: bool,
) -> int:
    """Continue a prompt with a trained model, every token with its probability.

    RUN is a run's folder, its name or a part of it, or `latest`; of a run that is being trained, its last
    checkpoint is read. CHECKPOINT is a .safetensors file.

    Past the model's context it goes on: the last half of the context is read afresh, and so on.
    """
    _refuse_contradictions(prompt, prompt_file, score, n_tokens)
    sampling = _sampling(temperature, top_k, top_p, seed, logprobs, journal=journal)
    given = _given_prompt(prompt, prompt_file, may_read_stdin=score is None and not journal)
    text = _file_text(score) if score is not None else None

    from femtotui.core.run_folder.saved_model import open_saved  # noqa: PLC0415

    saved = open_saved(runs_folder(runs), model)
    for note in saved.notes:
        say(f"note: {note}")
    given, text = (_writable(saved.sampler, part, drop=drop_unknown) for part in (given, text))
    from femtotui.core.sampling.sampler import JOURNAL_PROMPT  # noqa: PLC0415

    from .sample_output import Task, face_for, show  # noqa: PLC0415

    tokens = _tokens(saved.sampler, given or b"", text, n_tokens, sampling)
    task = Task(
        prompt=given or JOURNAL_PROMPT,
        prompt_given=bool(given),
        model=saved.name,
        seed=seed if text is None else None,
        scored=text is not None,
        log_probs=logprobs is not None,
    )
    try:
        result = show(tokens, face_for(as_json), task)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the rest goes nowhere, quietly
        return 0
    if not as_json and sys.stderr.isatty():
        say(f"{saved.name} · {result.reading.n_tokens:,} tokens at {result.tokens_per_s:,.0f} tokens/s")
    return 0


def _refuse_contradictions(
    prompt: str | None, prompt_file: str | None, score: str | None, n_tokens: int | None
) -> None:
    if prompt is not None and prompt_file is not None:
        raise click.UsageError("give --prompt or --prompt-file, not both")
    if score is not None and n_tokens is not None:
        raise click.UsageError("--score makes no tokens: leave out -n")
    if score == STDIN and prompt_file == STDIN:
        raise click.UsageError("standard input can be the prompt or the text to score, not both")


def _tokens(
    sampler: Sampler, prompt: bytes, text: bytes | None, n_tokens: int | None, sampling: Sampling
) -> Iterator[SampledToken]:
    """The tokens of `text`, scored, or else new ones."""
    from femtotui.core.sampling.sampler import JOURNAL_TOKENS  # noqa: PLC0415

    if text is not None:
        return sampler.score(prompt, text, sampling)
    return sampler.generate(prompt, JOURNAL_TOKENS if n_tokens is None else n_tokens, sampling)


def _sampling(
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    seed: int,
    logprobs: int | None,
    *,
    journal: bool,
) -> Sampling:
    """The settings; whatever is not given is the journal's with `journal`, else no cut at all."""
    from femtotui.core.sampling.sampler import JOURNAL_SAMPLING, Sampling  # noqa: PLC0415

    base = JOURNAL_SAMPLING if journal else Sampling()
    if logprobs is not None and logprobs < 1:
        raise ConfigError(f"--logprobs wants 1 or more, not {logprobs}")
    return Sampling(
        temperature=base.temperature if temperature is None else temperature,
        top_k=base.top_k if top_k is None else top_k,
        top_p=base.top_p if top_p is None else top_p,
        seed=seed,
        alternatives=logprobs or JSON_ALTERNATIVES,
    )


def _given_prompt(prompt: str | None, prompt_file: str | None, *, may_read_stdin: bool) -> bytes | None:
    if prompt is not None:
        return prompt.encode("utf-8", "surrogateescape")
    if prompt_file is not None:
        return _file_text(prompt_file)
    if may_read_stdin and sys.stdin is not None and not sys.stdin.isatty():
        return _file_text(STDIN)
    return None


def _file_text(name: str) -> bytes:
    from femtotui.core.files import os_error_words  # noqa: PLC0415

    try:
        if name == STDIN:
            text = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                text = file.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot read {name}: {os_error_words(error)}") from error
    except ValueError as error:  # a name with a zero byte in it
        raise DataError(f"cannot read {name}: {error}") from error
    if len(text) > MAX_TEXT_BYTES:
        raise DataError(f"{name} is longer than {MAX_TEXT_BYTES // 2**20} MiB: give a part of it")
    return text


def _writable(sampler: Sampler, text: bytes | None, *, drop: bool) -> bytes | None:
    """`text` as the tokenizer can take it. Raises: TokenizerError, naming what it lacks and the way out."""
    from femtotui.core.tokenizers.tokenizer import characters_lacking, lacking_words, without  # noqa: PLC0415

    lacking = characters_lacking(sampler.tokenizer, text) if text else ()
    if text is None or not lacking:
        return text
    if not drop:
        raise TokenizerError(f"{lacking_words(lacking)}: --drop-unknown leaves them out")
    say(f"note: {lacking_words(lacking)}: left out")
    return without(text, lacking)
