import json

import pytest

from pa_jax.data import quarantine as quarantine_lib
from pa_jax.data.readers import items


def read_rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path, lines):
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def read_all(source, quarantine):
    values = []
    for _, value in items.read_lines(source, quarantine):
        quarantine.accept()
        values.append(value)
    quarantine.finish(source)
    return values


def test_bad_lines_are_kept_with_number_and_reason_and_reading_goes_on(tmp_path):
    lines = [b'{"x": %d}' % i for i in range(60)]
    lines[7] = b'{"x": '
    lines[20] = b'"\xff\xfe"'
    source, kept = write(tmp_path / "in.jsonl", lines), tmp_path / "run" / "bad.jsonl"
    with quarantine_lib.Quarantine(kept) as quarantine:
        values = read_all(source, quarantine)
    assert values == [{"x": i} for i in range(60) if i not in (7, 20)]
    assert (quarantine.seen, quarantine.bad) == (60, 2)
    rows = read_rows(kept)
    assert [row["number"] for row in rows] == [8, 21]
    assert {row["file"] for row in rows} == {str(source)}
    assert rows[0]["text"] == '{"x": ' and "not JSON" in rows[0]["reason"]
    assert "UTF-8" in rows[1]["reason"]


def test_blank_lines_and_a_byte_order_mark_are_no_items(tmp_path):
    source = write(tmp_path / "in.jsonl", [b"\xef\xbb\xbf1", b"", b"  ", b"2"])
    with quarantine_lib.Quarantine(tmp_path / "bad.jsonl") as quarantine:
        assert read_all(source, quarantine) == [1, 2]
    assert quarantine.seen == 2
    assert not (tmp_path / "bad.jsonl").exists()


@pytest.mark.parametrize(("bad", "stops"), [(3, False), (4, True)])
def test_over_five_percent_stops_at_the_end(tmp_path, bad, stops):
    source = write(tmp_path / "in.jsonl", [b"1"] * (60 - bad) + [b"{"] * bad)  # 5 % of 60 is 3
    with quarantine_lib.Quarantine(None) as quarantine:
        if stops:
            with pytest.raises(quarantine_lib.DataError, match=r"4 of the first 60 .* at most 5%"):
                read_all(source, quarantine)
        else:
            assert len(read_all(source, quarantine)) == 57


def test_over_five_percent_stops_early_from_a_hundred_items_on(tmp_path):
    source = write(tmp_path / "in.jsonl", [b"{"] * 6 + [b"1"] * 10_000)
    with quarantine_lib.Quarantine(None) as quarantine:
        with pytest.raises(quarantine_lib.DataError, match="6 of the first 100 items"):
            read_all(source, quarantine)
    assert quarantine.seen == 100


def test_many_items_with_few_bad_never_stop(tmp_path):
    source = write(tmp_path / "in.jsonl", ([b"1"] * 24 + [b"{"]) * 40)
    with quarantine_lib.Quarantine(None) as quarantine:
        assert len(read_all(source, quarantine)) == 960


def test_the_message_names_the_file_of_bad_items(tmp_path):
    source = write(tmp_path / "in.jsonl", [b"{"])
    with quarantine_lib.Quarantine(tmp_path / "bad.jsonl") as quarantine:
        with pytest.raises(quarantine_lib.DataError, match="bad.jsonl"):
            read_all(source, quarantine)


def test_a_quarantine_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with quarantine_lib.Quarantine(tmp_path / "file" / "bad.jsonl") as quarantine:
        with pytest.raises(quarantine_lib.DataError, match="Cannot write bad items to .*bad.jsonl"):
            quarantine.reject("in", 1, "why", "text")


def test_missing_file_names_the_path(tmp_path):
    with pytest.raises(quarantine_lib.DataError, match="nowhere.jsonl' is not there"):
        items.find_files(str(tmp_path / "nowhere.jsonl"), "*.jsonl")
    with pytest.raises(quarantine_lib.DataError, match="a folder without"):
        items.find_files(str(tmp_path), "*.jsonl")
    with pytest.raises(quarantine_lib.DataError, match="data.path is empty"):
        items.find_files("", "*.jsonl")


def test_unreadable_file_names_the_path(tmp_path):
    folder = tmp_path / "in.jsonl"
    folder.mkdir()  # reading it fails for root as well
    with quarantine_lib.Quarantine(None) as quarantine:
        with pytest.raises(quarantine_lib.DataError, match="in.jsonl cannot be read"):
            list(items.read_lines(folder, quarantine))
    with pytest.raises(quarantine_lib.DataError, match="in.jsonl cannot be read"):
        items.read_list(folder)


def test_half_a_character_pair_is_bad(tmp_path):
    with pytest.raises(quarantine_lib.BadItem, match="half a character pair"):
        items.as_text(json.loads('"a \\ud83d b"'), "user")


def test_marks_of_editors_and_of_files_put_together_are_no_items(tmp_path):
    mark = b"\xef\xbb\xbf"
    source = write(tmp_path / "in.jsonl", [mark + b'{"x": 1}\r', mark + b'{"x": 2}', b"\x1a"])
    quarantine = quarantine_lib.Quarantine(None)
    assert read_all(source, quarantine) == [{"x": 1}, {"x": 2}]
    assert quarantine.bad == 0


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ('{"x": 1}\n'.encode("utf-16"), "is UTF-16; save it as UTF-8"),
        (b"\x1f\x8b\x08rest", "is compressed; unpack it"),
        (b"PK\x03\x04rest", "is a ZIP archive"),
        (b'\xef\xbb\xbf\n[{"x": 1}]', "holds a JSON list; write one object a line"),
        (b'[\n{"x": 1},\n{"x": 2}\n]', "holds a JSON list; write one object a line"),
        (b'{\n  "x": 1\n}\n', "holds objects of several lines; write one object a line"),
        ('{"x": 1}\n'.encode("utf-16-le"), "is UTF-16; save it as UTF-8"),
        ('{"x": 1}\n'.encode("utf-16-be"), "is UTF-16; save it as UTF-8"),
    ],
)
def test_a_file_that_holds_no_lines_says_what_to_make_of_it(tmp_path, raw, told):
    source = tmp_path / "in.jsonl"
    source.write_bytes(raw)
    with pytest.raises(quarantine_lib.DataError, match=f"in.jsonl {told}"):
        read_all(source, quarantine_lib.Quarantine(None))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"x": 1},', "leave out the comma behind the object"),
        (b'{"x": 1},\r', "leave out the comma behind the object"),
        (b'{"x": "th\xe9"}', "not UTF-8 (byte 0xe9); save it as UTF-8"),
        (b"{'x': 1}", "not JSON: "),
    ],
)
def test_a_line_that_is_no_json_says_what_to_do(tmp_path, line, told):
    source = write(tmp_path / "in.jsonl", [line, *[b'{"x": 1}'] * 30])
    with quarantine_lib.Quarantine(tmp_path / "bad.jsonl") as quarantine:
        assert len(read_all(source, quarantine)) == 30
    (kept,) = map(json.loads, (tmp_path / "bad.jsonl").read_text().splitlines())
    assert told in kept["reason"]


def test_a_mark_alone_is_an_empty_file(tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"\xef\xbb\xbf\r\n")
    assert list(items.read_lines(source, quarantine_lib.Quarantine(None))) == []


@pytest.mark.parametrize("first", [b"[]", b'[{"x": 0}]', b"\xef\xbb\xbf[1, 2]"])
def test_a_list_in_the_first_line_is_one_bad_line(tmp_path, first):
    source = write(tmp_path / "in.jsonl", [first, b"", b'{"x": 1}', b'{"x": 2}', b'{"x": 3}'])
    quarantine = quarantine_lib.Quarantine(None)
    read = list(items.read_lines(source, quarantine))
    assert isinstance(read[0][1], list)  # which no reader takes for an item
    assert [value["x"] for _, value in read[1:]] == [1, 2, 3]


def test_too_many_bad_items_name_the_first_and_no_key_that_was_not_read(tmp_path):
    source = write(tmp_path / "in.jsonl", [b"{", b'{"x": 1}'])
    with pytest.raises(quarantine_lib.DataError, match="The first is item 1: not JSON") as error:
        read_all(source, quarantine_lib.Quarantine(None))
    assert "data.source" not in str(error.value)
