"""Settings: what a file may say, what the environment overrides, and that secrets stay unseen."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.config import Config, load, parse
from headrace.config.durations import duration_us
from headrace.errors import ConfigError, HeadraceError

SOURCE = """
    [[sources]]
    name = "airline"
    url = "postgresql://u@db/airline"
"""


def read(text: str, **environ: str) -> Config:
    return parse(textwrap.dedent(text), Path("/etc/headrace"), environ)


def refusal(text: str, **environ: str) -> HeadraceError:
    with pytest.raises(ConfigError) as caught:
        read(text, **environ)
    return caught.value


def test_nothing_said_is_the_documented_defaults() -> None:
    config = read("")

    assert (config.headrace.store, config.headrace.log, config.headrace.history) == ("embedded:", "embedded:", "7d")
    assert config.headrace.data == "/etc/headrace/.headrace"
    assert (config.server.host, config.server.port) == ("127.0.0.1", 8420)
    assert config.models.embedding == "onnx:all-MiniLM-L6-v2"
    assert config.models.generation is None
    assert config.sources == []


@pytest.mark.parametrize(
    ("text", "got", "near"),
    [
        ("[server]\nprot = 1", "server.prot", "port"),
        ("[servr]\nport = 1", "servr", "server"),
        (SOURCE + "tabels = []", "sources.tabels", "tables"),
        ("[[knowledge.rows]]\ntabel = 'a'", "knowledge.rows.tabel", "table"),
        ("[[profiles.facts]]\nagregates = {}", "profiles.facts.agregates", "aggregates"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_the_near_one(text: str, got: str, near: str) -> None:
    error = refusal(text)

    assert error.got == f"`{got}`"
    assert error.remedy == f"Did you mean `{near}`?"


def test_an_unknown_key_near_nothing_is_told_what_there_is() -> None:
    known = "identity, identity_secret, user_header, groups_header, user_type, operators"
    assert refusal("[server]\nxyz = 1").remedy == f"Known here: host, port, hosts, max_body, max_stream, {known}."


@pytest.mark.parametrize(
    "text",
    [
        "[server]\nport = 'high'",
        "[server]\nport = 65536",
        "[headrace]\nhistory = 'long'",
        "[headrace]\nretention = '7'",
        "server = 3",
        "sources = 3",
        "[[sources]]\nname = 'Has Spaces'\nurl = 'file:x'",
        "[[sources]]\nname = 'a'",
        "[broken",
        "a = 'b\x00'",
    ],
)
def test_a_value_that_does_not_fit_is_an_error(text: str) -> None:
    refusal(text)


def test_each_source_has_a_name_of_its_own() -> None:
    assert "airline" in refusal(SOURCE + SOURCE).got


def test_a_table_belongs_to_a_configured_source() -> None:
    rows = "[[knowledge.rows]]\ntable = 'airlin.public.flights'\ntext = 'x'"

    error = refusal(textwrap.dedent(SOURCE) + rows)

    assert error.got == "knowledge.rows.airlin.public.flights"
    assert error.remedy == "Did you mean `airline`?"
    assert "Sources: none" in refusal(rows).remedy


def test_the_environment_overrides_the_file() -> None:
    text = "[server]\nport = 1\nhost = 'a'"

    config = read(text, HEADRACE_SERVER__PORT="9000", HEADRACE_HEADRACE__HISTORY="1h", HEADRACE_CI="1", OTHER__X="1")

    assert (config.server.port, config.server.host, config.headrace.history) == (9000, "a", "1h")


def test_the_environment_is_read_by_the_setting_s_type() -> None:
    assert read("", HEADRACE_ANSWER__NOW="2024").answer.now == "2024"
    assert "port" in refusal("", HEADRACE_SERVER__PORT="²").got
    assert refusal("", HEADRACE_SERVER__PROT="1").remedy == "Did you mean `port`?"
    refusal("server = 3", HEADRACE_SERVER__PORT="1")


def test_secrets_come_by_reference(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cr3t-file\n")
    text = f"""
        [[sources]]
        name = "a"
        url = "postgresql://u:${{env:PASSWORD}}@db/a"
        [[sources]]
        name = "b"
        url = "postgresql://u:${{file:{secret}}}@db/b"
    """

    config = read(text, PASSWORD="s3cr3t-env")

    assert [s.url for s in config.sources] == [
        "postgresql://u:s3cr3t-env@db/a",
        "postgresql://u:s3cr3t-file@db/b",
    ]


@pytest.mark.parametrize("reference", ["${env:MISSING}", "${file:/nowhere/at/all}", "${vault:x}"])
def test_a_reference_to_nothing_is_an_error(reference: str) -> None:
    refusal(f"[headrace]\nstore = 'postgresql://u:{reference}@h/d'")


def test_no_error_shows_a_secret() -> None:
    text = """
        [[sources]]
        name = "a"
        url = "postgresql://u:${env:PASSWORD}@db/a"
        tables = "${env:PASSWORD}"
    """

    error = refusal(text, PASSWORD="s3cr3t")

    assert "s3cr3t" not in str(error)


def test_folders_are_relative_to_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    text = "[headrace]\ndata='../data'\n[[sources]]\nname='docs'\nurl='file://./texts'\n"
    text += "[[sources]]\nname='more'\nurl='file:///srv/texts'"
    (folder / "headrace.toml").write_text(text)

    config = load(folder / "headrace.toml", {})

    assert config.headrace.data == str(tmp_path / "data")
    assert [s.url for s in config.sources] == [f"file://{folder}/texts", "file:///srv/texts"]


def test_a_file_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="headrace init"):
        load(tmp_path / "headrace.toml", {})
    (tmp_path / "latin.toml").write_bytes("# Über".encode("latin-1"))
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "latin.toml", {})


@given(st.integers(0, 10**6), st.sampled_from("smhd"))
def test_durations_are_a_number_and_a_unit(n: int, unit: str) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86_400}[unit]

    assert duration_us(f"{n}{unit}") == duration_us(f" {n} {unit} ") == n * seconds * 1_000_000


@pytest.mark.parametrize("text", ["", "7", "d", "1.5h", "-1d", "7w", "1h30m", "٣d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        duration_us(text)


@pytest.mark.parametrize(
    "text",
    [
        '[headrace]\nstore = "postgresql://u:hunter2@db/h"',
        '[[sources]]\nname = "a"\nurl = "postgresql://u@db/a?password=hunter2"',
        '[models]\ngeneration = "openai+https://api.example.com/v1?model=m&key=hunter2"',
    ],
)
def test_a_secret_that_is_written_out_is_refused_without_being_shown(text: str) -> None:
    error = refusal(text)

    assert "hunter2" not in str(error)
    assert "${env:NAME}" in error.remedy


def test_a_secret_by_reference_is_taken() -> None:
    config = read('[headrace]\nstore = "postgresql://u:${env:PW}@db/h"', PW="hunter2")

    assert config.headrace.store == "postgresql://u:hunter2@db/h"


def test_redaction_is_off_unless_a_source_asks_for_it() -> None:
    source = '[[sources]]\nname = "docs"\nurl = "file://./docs"\n'

    assert read(source).sources[0].redact is None
    redact = (
        read(source + '[sources.redact]\nkinds = { email = "hash" }\nkey = "${env:KEY}"', KEY="a" * 16)
        .sources[0]
        .redact
    )
    assert redact is not None
    assert (redact.default, redact.kinds, redact.key, redact.detectors) == (
        "mask", {"email": "hash"}, "a" * 16, ["rules:"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ('key = "written out here"', "secrets by reference"),
        ('key = "x${env:KEY}"', "secrets by reference"),
        ('defualt = "mask"', "Did you mean `default`?"),
        ('kinds = { email = "hide" }', "hide"),
    ],
)
def test_a_redaction_that_cannot_be_meant_is_refused(setting: str, words: str) -> None:
    error = refusal(f'[[sources]]\nname = "docs"\nurl = "file://./docs"\n[sources.redact]\n{setting}\n', KEY="a" * 16)

    assert words in str(error)
    assert "written out here" not in str(error)


MODEL = """
    [models]
    generation = "openai+http://127.0.0.1:1/v1?model=m"
"""


def test_language_models_tell_nothing_of_documents_unless_that_is_asked_for() -> None:
    assert (read(SOURCE).knowledge.classify, read(SOURCE).knowledge.summarise) == (None, None)
    head = textwrap.dedent(SOURCE) + textwrap.dedent(MODEL)
    config = read(head + '[knowledge.classify]\nlabels = { a = "one", b = "" }\n[knowledge.summarise]\n')
    assert config.knowledge.classify is not None
    assert config.knowledge.classify.labels == {"a": "one", "b": ""}
    assert config.knowledge.summarise is not None
    own = '[knowledge.summarise]\nmodel = "openai+http://127.0.0.1:1/v1?model=m"\nsources = ["airline"]'
    assert read(textwrap.dedent(SOURCE) + own).models.generation is None


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("[knowledge.summarise]", "a language model for [knowledge.summarise], got none"),
        ('[knowledge.classify]\nlabels = { a = "", b = "" }', "a language model for [knowledge.classify], got none"),
        (MODEL + "[knowledge.classify]", "labels"),
        (MODEL + '[knowledge.classify]\nlabels = { a = "" }', "two labels or more"),
        (MODEL + "[knowledge.classify]\nmany = true\nlabels = {}", "one label or more"),
        (MODEL + '[knowledge.classify]\nlabels = { a = "", "b, c" = "" }', "without commas"),
        (MODEL + '[knowledge.classify]\nlabels = { a = "", A = "" }', "labels that differ"),
        (MODEL + '[knowledge.classify]\nmany = true\nlabels = { a = "", None = "" }', "none named `none`"),
        (MODEL + '[knowledge.summarise]\nsources = ["airlien"]', "Did you mean `airline`?"),
        ('[knowledge.summarise]\nmodel = "openai+https://h/v1?model=m&key=abc"', "secrets by reference"),
    ],
)
def test_a_step_of_a_language_model_that_cannot_be_meant_is_refused(setting: str, words: str) -> None:
    text = "\n".join(line.strip() for line in (SOURCE + setting).splitlines())
    assert words in str(refusal(text))
