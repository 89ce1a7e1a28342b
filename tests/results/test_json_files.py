"""JSON documents: indented for people, read strictly."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from wsbench.errors import ResultError
from wsbench.results.json_files import decode_json, encode_json, exists, load_document


class Sample(msgspec.Struct):
    schema: int
    size: int
    clock_offset_ns: int = 0


def decode(text: bytes) -> Sample:
    return decode_json(Sample, text, "here", what="sample", schema=1)


def test_a_document_is_indented_and_ends_with_a_newline() -> None:
    assert encode_json({"schema": 1, "size": 2}) == b'{\n  "schema": 1,\n  "size": 2\n}\n'


def test_a_document_is_read_from_its_directory_or_file(tmp_path: Path) -> None:
    (tmp_path / "sample.json").write_bytes(encode_json(Sample(1, 2)))
    for path in (tmp_path, tmp_path / "sample.json"):
        assert load_document(Sample, path, "sample.json", what="sample", schema=1) == Sample(1, 2)


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        (b"{", "here is not JSON: ", "cut off or edited"),
        (b'{"schema": 2, "size": 1}', "here is not a sample of schema 1 (its schema is 2)", "upgrade"),
        (b'{"size": 1}', "here is not a sample of schema 1 (its schema is None)", ""),
        (b'{"schema": 1}', "here is not a whole sample: ", "edited or damaged"),
        (b'{"schema": 1, "size": -1}', "here is not a whole sample: a number that cannot be - at `$.size`", "damaged"),
    ],
)
def test_a_wrong_document_is_refused_with_a_remedy(text: bytes, what: str, remedy: str) -> None:
    with pytest.raises(ResultError) as caught:
        decode(text)
    assert caught.value.what.startswith(what)
    assert remedy in caught.value.remedy


def test_only_the_offset_of_a_clock_can_be_negative() -> None:
    assert decode(b'{"schema": 1, "size": 0, "clock_offset_ns": -5}').clock_offset_ns == -5


def test_a_missing_document_names_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="no overview at") as caught:
        load_document(Sample, tmp_path, "overview.json", what="overview", schema=1)
    assert caught.value.remedy == "Name a directory that holds an overview.json."


def test_no_name_is_too_odd_to_ask_for(tmp_path: Path) -> None:
    assert exists(tmp_path)
    assert not exists(Path("a\0b"))
    assert not exists(tmp_path / ("x" * 300))
