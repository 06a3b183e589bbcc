"""`femtotui sample` as a script meets it: real processes, one object of JSON, one line for a mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_checkpoint import saved_run, small_config

from femtotui.cli.sample import sample
from femtotui.core.errors import FemtoError
from femtotui.core.run_folder.folder import RunFolder
from femtotui.core.run_folder.saved_model import open_saved
from femtotui.core.sampling.distribution import JOURNAL_SAMPLING


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return saved_run(tmp_path_factory.mktemp("runs"), steps=(3, 7))


def invoke(run: RunFolder, *arguments: str, stdin: bytes | None = b"") -> Result:
    return CliRunner().invoke(sample, [str(run.path), *arguments], input=stdin)


def found(run: RunFolder, *arguments: str, stdin: bytes = b"") -> dict:
    result = invoke(run, "--json", *arguments, stdin=stdin)
    assert result.exit_code == 0, result
    return json.loads(result.stdout)


def test_json_has_everything_about_every_token(run: RunFolder) -> None:
    said = found(run, "--prompt", "ba", "-n", "40", "--seed", "5", "--logprobs", "3", "--top-p", "0.9")
    assert (said["prompt"], said["seed"]) == ("ba", 5) and said["tokens_per_s"] > 100
    assert len(said["tokens"]) == 40
    data = b"".join(bytes(token["bytes"]) for token in said["tokens"])
    assert said["text"] == data.decode("utf-8", "replace")
    for token in said["tokens"]:
        assert set(token) == {"id", "bytes", "p", "p_cut", "rank", "surprise_bits", "entropy_bits", "top"}
        assert len(token["top"]) == 3 and token["p_cut"] > token["p"] > 0
        assert token["top"][0]["p"] >= token["top"][1]["p"] >= token["top"][2]["p"]
    assert found(run, "--prompt", "ba", "-n", "40", "--seed", "5", "--top-p", "0.9")["text"] == said["text"]


def test_the_prompt_comes_from_standard_input_or_a_file(run: RunFolder, tmp_path: Path) -> None:
    assert found(run, "-n", "1", stdin=b"abc")["prompt"] == "abc"
    assert found(run, "-n", "1")["prompt"] == "\n"
    assert len(found(run)["tokens"]) == 100
    (tmp_path / "prompt").write_bytes(b"from a file")
    assert found(run, "-n", "1", "--prompt-file", str(tmp_path / "prompt"))["prompt"] == "from a file"


def test_the_journals_own_sampler_by_name(run: RunFolder) -> None:
    said = found(run, "--journal", stdin=b"not this")
    sampler = open_saved(run.path.parent, run.path.name).sampler
    same = [token.bytes for token in sampler.generate(b"\n", 100, JOURNAL_SAMPLING)]
    assert [token["bytes"] for token in said["tokens"]] == [list(piece) for piece in same]
    assert said["prompt"] == "\n"


def test_a_pipe_gets_plain_text_that_no_terminal_obeys(run: RunFolder) -> None:
    shown = invoke(run, "-n", "400", "--prompt", "\x1b[31m").stdout
    assert all(character.isprintable() or character in "\n\t" for character in shown)
    assert shown.startswith("␛[31m")


def test_log_probs_in_the_journals_notation(run: RunFolder) -> None:
    lines = invoke(run, "-n", "5", "--logprobs", "2", "--temperature", "0").stdout.splitlines()
    assert len(lines) == 5
    for line in lines:
        name, _, alternatives = line.partition(" [")
        assert alternatives.startswith(f"({name.rsplit(' ', 1)[0]}, ") and alternatives.count("%)") == 2


def test_a_text_is_scored(run: RunFolder, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"bacedi;\n" * 10)
    said = found(run, "--score", str(text))
    assert said["text"].encode() == text.read_bytes() and said["seed"] is None
    bits = sum(token["surprise_bits"] for token in said["tokens"])
    assert said["bits_per_byte"] == pytest.approx(bits / 80)
    assert said["perplexity"] == pytest.approx(2 ** (bits / 80))
    assert f"{bits / 80:.3f} bits per byte" in invoke(run, "--score", str(text)).stdout


def test_a_run_is_read_as_of_its_newest_whole_checkpoint(tmp_path: Path) -> None:
    run = saved_run(tmp_path, steps=(3, 7))
    newest, older = run.checkpoint_paths()
    assert "step 7" in found(run, "-n", "1")["model"]
    newest.write_bytes(newest.read_bytes()[:1000])
    assert "step 3" in found(run, "-n", "1")["model"]
    assert newest.exists(), "sampling changes nothing in the folder"
    older.unlink()
    result = invoke(run)
    assert isinstance(result.exception, FemtoError) and "damaged" in str(result.exception)


def test_a_single_checkpoint_file_is_enough_for_bytes(run: RunFolder, tmp_path: Path) -> None:
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(run.checkpoint_paths()[0].read_bytes())
    result = CliRunner().invoke(sample, [str(alone), "--json", "-n", "2"], input=b"")
    assert json.loads(result.stdout)["text"] == found(run, "-n", "2")["text"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--temperature", "-1"), "temperature must be from 0"),
        (("--top-p", "0"), "top-p must be above 0"),
        (("--top-p", "1.1"), "top-p must be above 0"),
        (("--top-k", "-1"), "top-k must be 0"),
        (("-n", "0"), "tokens must be from 1"),
        (("--logprobs", "0"), "--logprobs must be at least 1"),
        (("--prompt-file", "nowhere"), "cannot read nowhere: it is not there"),
        (("--score", "nowhere"), "cannot read nowhere: it is not there"),
    ],
)
def test_what_cannot_be_is_refused_in_words(run: RunFolder, arguments: tuple[str, ...], said: str) -> None:
    assert said in str(invoke(run, *arguments).exception)


def test_characters_that_the_tokenizer_lacks_are_named_and_can_be_dropped(tmp_path: Path) -> None:
    run = saved_run(tmp_path, small_config("char"))
    error = invoke(run, "--prompt", "Zba\u202e").exception
    assert "'Z' (U+005A), '\\u202e' (U+202E): --drop-unknown" in str(error)
    assert found(run, "--prompt", "Zba\u202e", "--drop-unknown", "-n", "1")["prompt"] == "ba"


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "femtotui", "sample", "nothing", "--runs", str(tmp_path)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUTF8": "1"},
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "") and len(done.stderr.splitlines()) == 1
