"""TOML files read into structs, and the errors for what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from wsbench.errors import UsageError
from wsbench.experiment.toml_reader import TomlFile, numbered


class Part(msgspec.Struct, forbid_unknown_fields=True):
    size: int = 1


class Sample(msgspec.Struct, forbid_unknown_fields=True):
    name: str = ""
    sizes: list[int | str] | int = 1
    count: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1
    part: list[Part] | Part = []


def toml(tmp_path: Path, text: str) -> TomlFile:
    path = tmp_path / "sample.toml"
    path.write_text(text)
    return TomlFile(path, {"part": "{ size = 1 }"})


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    assert toml(tmp_path, "\ufeffname = 'x'").decode(Sample).name == "x"


def test_a_file_becomes_a_struct(tmp_path: Path) -> None:
    file = toml(tmp_path, "name = 'x'\nsizes = [1, '2k']\n[[part]]\nsize = 3")
    assert file.decode(Sample) == Sample("x", [1, "2k"], 1, [Part(3)])
    assert file.content == (tmp_path / "sample.toml").read_bytes()


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("nane = 'x'", "nane: there is no such key", "Did you mean 'name'?"),
        ("zzzz = 'x'", "zzzz: there is no such key", "There are: name, sizes, count, part."),
        ("part = [{}, { sise = 1 }]", "part 2.sise: there is no such key", "Did you mean 'size'?"),
        ("part = { size = 1.5 }", "part.size: expected a whole number, got a number", ""),
        ("part = 3", "part: expected a table or a list, got a whole number", "It looks like { size = 1 }."),
        ("sizes = [1, true]", "sizes 2: expected a whole number or text, got true or false", ""),
        ("count = 10", "count: expected a whole number <= 9", ""),
        ("name = 1979-05-27", "name: expected text, got date", ""),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, text: str, what: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        toml(tmp_path, text).decode(Sample)
    assert caught.value.what == f"{tmp_path / 'sample.toml'}: {what}"
    assert caught.value.remedy.startswith(remedy)


def test_a_list_has_values_and_none_twice(tmp_path: Path) -> None:
    file = toml(tmp_path, "")
    assert file.parsed_list("sizes", ["1", 2], int) == (1, 2)
    assert file.parsed_list("sizes", 3, int) == (3,)
    for values, problem in (([], "the list is empty"), ([2, "2"], "2 is there twice"), (["x"], "invalid literal")):
        with pytest.raises(UsageError, match=f"sizes: {problem}"):
            file.parsed_list("sizes", values, int)


def test_only_the_values_of_a_list_have_numbers() -> None:
    assert list(numbered("load", ["a", "b"])) == [("load 1", "a"), ("load 2", "b")]
    assert list(numbered("load", "a")) == [("load", "a")]
