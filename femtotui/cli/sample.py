"""`femtotui sample`: continue a prompt with a trained model, or score a text, without the app."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click import option

from femtotui.core.errors import ConfigError, DataError, TokenizerError
from femtotui.core.files import os_error_words

from ..text.safe import incomplete_tail, plain_text, say
from .options import CliCommand, run_argument, runs_option
from .output import discard_output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from femtotui.core.sampling.sampler import SampledToken, Sampler, Sampling

    from ..tokens.scoring import TextScore

MAX_TEXT_BYTES = 64 * 1024 * 1024
STDIN = "-"
TERMINAL_SECONDS = 0.03
"""Tokens go to a terminal in pieces, at most this often: it is slower than the model."""

_PROMPT_HELP = (
    "The text to continue, exactly as given "
    "(default: standard input if something is piped in, else a newline)."
)


@click.command(
    cls=CliCommand,
    examples={
        "sample --prompt ba": "the latest run, coloured by probability on a terminal",
        "sample latest --logprobs 5": "each token with the five most probable",
        "sample latest --score my.txt": "bits per byte and perplexity of a text",
    },
)
@run_argument("model", metavar="[RUN|CHECKPOINT]")
@option("--prompt", metavar="TEXT", help=_PROMPT_HELP)
@option("--prompt-file", metavar="FILE", help="A file with the text to continue; - is standard input.")
@option("-n", "--tokens", "n_tokens", type=int, help="Number of tokens to sample (default: 100).")
@option("--temperature", type=float, help="0 always picks the most probable token (default: 1).")
@option("--top-k", type=int, help="Sample from the K most probable tokens; 0 is all (default: 0).")
@option("--journal", is_flag=True, help="As the journal: a newline, 100 tokens, whatever is piped in.")
@option("--top-p", type=float, help="Sample from the most probable tokens up to this total; 1 is all.")
@option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same text.")
@option(
    "--logprobs",
    type=int,
    metavar="K",
    help="Print a line per token: its probability and the K most probable tokens.",
)
@option("--score", metavar="FILE", help="Score this text instead of sampling; - is standard input.")
@option("--drop-unknown", is_flag=True, help="Leave out characters that the tokenizer lacks.")
@runs_option
@option("--json", "as_json", is_flag=True, help="Print one JSON object with the text and all its tokens.")
def sample(
    model: str,
    prompt: str | None,
    prompt_file: str | None,
    n_tokens: int | None,
    journal: bool,
    seed: int,
    logprobs: int | None,
    score: str | None,
    drop_unknown: bool,
    runs: Path,
    as_json: bool,
    **chosen: float | None,
) -> int:
    """Continue a prompt with a trained model, or score a text; on a terminal colours show probability.

    RUN is a run's folder, its name or a part of it, or `latest`; a run that is training is read at its last
    checkpoint. CHECKPOINT is a .safetensors file.

    Unless --top-p is given, tokens are drawn as in the app and in the journal: by femtoGPT's sampler, which
    keeps the most probable half. Whenever the context is full, its last half is read afresh.
    """
    if prompt is not None and prompt_file is not None:
        raise click.UsageError("give --prompt or --prompt-file, not both")
    if score is not None and n_tokens is not None:
        raise click.UsageError("--score makes no tokens: leave out -n")
    if score == prompt_file == STDIN:
        raise click.UsageError("standard input can be the prompt or the text to score, not both")
    sampling = _sampling(chosen, seed, logprobs)
    given = _given_prompt(prompt, prompt_file, may_read_stdin=score is None and not journal)
    text = _file_text(score) if score is not None else None

    from femtotui.core.run_folder.saved_model import open_saved  # noqa: PLC0415
    from femtotui.core.sampling.sampler import JOURNAL_PROMPT, JOURNAL_TOKENS  # noqa: PLC0415

    saved = open_saved(runs, model)
    for note in saved.notes:
        say(f"note: {note}")
    given, text = (_encodable(saved.sampler, part, drop=drop_unknown) for part in (given, text))
    if text is not None:
        tokens = saved.sampler.score(given or b"", text, sampling)
    else:
        n = JOURNAL_TOKENS if n_tokens is None else n_tokens
        tokens = saved.sampler.generate(given or b"", n, sampling)
    request = SampleOptions(
        prompt=given or JOURNAL_PROMPT,
        prompt_given=bool(given),
        model=saved.name,
        seed=seed if text is None else None,
        scored=text is not None,
        log_probs=logprobs is not None,
    )
    output = SampleJson if as_json else SampleTerminal if sys.stdout.isatty() else SampleText
    try:
        score_of_text, tokens_per_s = _show(tokens, output(request))
    except BrokenPipeError:
        discard_output()
        return 0
    if not as_json and sys.stderr.isatty():
        say(f"{saved.name} · {score_of_text.n_tokens:,} tokens at {tokens_per_s:,.0f} tokens/s")
    return 0


def _sampling(chosen: dict[str, Any], seed: int, logprobs: int | None) -> Sampling:
    """The settings; whatever is not chosen is the journal's, as in the app."""
    from femtotui.core.sampling.sampler import JOURNAL_SAMPLING as base  # noqa: N811, PLC0415

    if logprobs is not None and logprobs < 1:
        raise ConfigError(f"--logprobs must be at least 1, not {logprobs}")
    given = {name: value for name, value in chosen.items() if value is not None}
    trims = base.trims and "top_p" not in given
    return replace(base, trims=trims, seed=seed, alternatives=logprobs or base.alternatives, **given)


def _given_prompt(prompt: str | None, prompt_file: str | None, *, may_read_stdin: bool) -> bytes | None:
    if prompt is not None:
        return prompt.encode("utf-8", "surrogateescape")
    if prompt_file is not None:
        return _file_text(prompt_file)
    if may_read_stdin and sys.stdin is not None and not sys.stdin.isatty():
        return _file_text(STDIN)
    return None


def _file_text(name: str) -> bytes:
    try:
        if name == STDIN:
            text = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                text = file.read(MAX_TEXT_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte in it
        raise DataError(f"cannot read {name}: {os_error_words(error)}") from error
    if len(text) > MAX_TEXT_BYTES:
        raise DataError(f"{name} is longer than {MAX_TEXT_BYTES // 2**20} MiB: give a part of it")
    return text


def _encodable(sampler: Sampler, text: bytes | None, *, drop: bool) -> bytes | None:
    """`text` as far as the tokenizer can encode it. Raises: TokenizerError for characters that it lacks."""
    from femtotui.core.tokenizers import characters_lacking, lacking_words, without  # noqa: PLC0415

    lacking = characters_lacking(sampler.tokenizer, text) if text else ()
    if text is None or not lacking:
        return text
    if not drop:
        raise TokenizerError(f"{lacking_words(lacking)}: --drop-unknown leaves them out")
    say(f"note: {lacking_words(lacking)}: left out")
    return without(text, lacking)


@dataclass(frozen=True)
class SampleOptions:
    """The model and prompt of a sample, or of a `scored` text.

    `log_probs` asks for a line per token in the journal's notation instead of the text.
    """

    prompt: bytes
    prompt_given: bool
    model: str
    seed: int | None
    scored: bool
    log_probs: bool


def _show(tokens: Iterator[SampledToken], output: SampleText) -> tuple[TextScore, float]:
    """Show all tokens; returns their score, and tokens per second of the model's time alone.

    Raises: FemtoError; OSError when the reader has gone.
    """
    from ..tokens.scoring import TextScore  # noqa: PLC0415

    score, seconds = TextScore(), 0.0
    output.begin()
    while True:
        began = time.perf_counter()
        token = next(tokens, None)
        seconds += time.perf_counter() - began
        if token is None:
            break
        score = score.plus((token,))
        output.token(token)
    tokens_per_s = score.n_tokens / max(seconds, 1e-9)
    output.end(score, tokens_per_s)
    return score, tokens_per_s


class SampleText:
    """The text alone, inert; for a scored text the figures; for log-probs, a line per token."""

    def __init__(self, request: SampleOptions) -> None:
        self.request = request
        self._pending = b""
        self._ends_line = True

    def begin(self) -> None:
        if self.request.prompt_given and not self.request.log_probs and not self.request.scored:
            self._write(self.request.prompt)

    def token(self, token: SampledToken) -> None:
        if self.request.log_probs:
            from ..tokens.export_formats import log_prob_line  # noqa: PLC0415

            sys.stdout.write(log_prob_line(token) + "\n")
        elif not self.request.scored:
            self._pending += token.bytes
            whole = len(self._pending) - incomplete_tail(self._pending)
            self._write(self._pending[:whole])
            self._pending = self._pending[whole:]

    def end(self, score: TextScore, tokens_per_s: float) -> None:  # noqa: ARG002
        self._write(self._pending)
        if not self._ends_line:
            sys.stdout.write("\n")
        if self.request.scored:
            sys.stdout.write(f"{score}\n")
        sys.stdout.flush()

    def _write(self, data: bytes) -> None:
        if data:
            sys.stdout.write(plain_text(data))
            self._ends_line = data.endswith(b"\n")


class SampleJson(SampleText):
    """One JSON object, written token by token."""

    def begin(self) -> None:
        from ..tokens.export_formats import JsonSample, text_of  # noqa: PLC0415

        asked, self._json = self.request, JsonSample()
        prompt = text_of(asked.prompt)
        sys.stdout.write(self._json.begin(model=asked.model, prompt=prompt, seed=asked.seed))

    def token(self, token: SampledToken) -> None:
        sys.stdout.write(self._json.token(token))

    def end(self, score: TextScore, tokens_per_s: float) -> None:
        end = self._json.end(
            tokens_per_s=round(tokens_per_s, 1),
            bits_per_byte=score.bits_per_byte if score.n_bytes else None,
            perplexity=score.perplexity,
        )
        sys.stdout.write(end + "\n")
        sys.stdout.flush()


class SampleTerminal(SampleText):
    """Every token on a colour for its probability, as it comes; the legend of the colours at the end."""

    def __init__(self, request: SampleOptions) -> None:
        from rich.console import Console  # noqa: PLC0415

        from ..tokens.colours import TokenPaint  # noqa: PLC0415

        super().__init__(request)
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._paint = TokenPaint.for_console(self._console)
        self._piece: list[SampledToken] = []
        self._printed = 0.0

    def begin(self) -> None:
        if self.request.prompt_given and not self.request.log_probs:
            self._console.print(self._paint.prompt(self.request.prompt), end="", soft_wrap=True)

    def token(self, token: SampledToken) -> None:
        if self.request.log_probs:
            super().token(token)
            return
        self._piece.append(token)
        if time.monotonic() - self._printed >= TERMINAL_SECONDS:
            self._print_piece()

    def _print_piece(self) -> None:
        self._console.print(self._paint.tokens(self._piece), end="", soft_wrap=True)
        self._piece, self._printed = [], time.monotonic()

    def end(self, score: TextScore, tokens_per_s: float) -> None:  # noqa: ARG002
        if not self.request.log_probs:
            self._print_piece()
            self._console.print(self._paint.rest(), soft_wrap=True)
            self._console.print(self._paint.legend(self._console.width))
        if self.request.scored:
            self._console.print(str(score))
