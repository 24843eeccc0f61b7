"""Where a server's keys come from."""

import click
import pytest
from click.testing import CliRunner

from runstream_infra.cli.options import api_keys_option
from runstream_infra.settings import environment_keys


@pytest.mark.parametrize(
    ("environ", "keys"),
    [
        ({}, ()),
        ({"RUNSTREAM_API_KEYS": ""}, ()),
        ({"RUNSTREAM_API_KEYS": "one"}, ("one",)),
        ({"RUNSTREAM_API_KEYS": " one, two,,"}, ("one", "two")),
    ],
)
def test_keys_of_the_environment_stand_between_commas(environ: dict[str, str], keys: tuple[str, ...]) -> None:
    assert environment_keys(environ) == keys


@pytest.mark.parametrize(
    ("arguments", "keys"), [([], "one two"), (["--api-key", "a,b"], "a,b"), (["--api-key=a", "--api-key=b"], "a b")]
)
def test_keys_that_are_given_replace_those_of_the_environment(arguments: list[str], keys: str) -> None:
    @click.command()
    @api_keys_option
    def show(api_keys: tuple[str, ...]) -> None:
        click.echo(" ".join(api_keys))

    result = CliRunner(env={"RUNSTREAM_API_KEYS": "one,two"}).invoke(show, arguments)
    assert result.output == f"{keys}\n"
