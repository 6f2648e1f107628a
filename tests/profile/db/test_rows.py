"""What a dataclass holds comes back from a row as it was; a field more is a column more."""

import dataclasses
import datetime

import pytest
import sqlalchemy as sa

from pa_jax.profile import codec, facts, update
from pa_jax.profile.db import rows, tables
from pa_jax.serve import wire

NOON = datetime.datetime(2026, 3, 1, 12, 0, 0, 123_457, tzinfo=datetime.UTC)


@dataclasses.dataclass(frozen=True)
class Thing:
    name: codec.Text
    where: facts.Place
    seen: codec.Moment
    receipts: tuple[update.Outcome, ...] | None
    ended: codec.Moment | None
    weight: codec.Number


@pytest.mark.parametrize(
    "thing",
    [
        Thing("à “b” 你", facts.Place(3, 4), NOON, None, None, 1 / 3),
        Thing("", facts.Place(0, 0), NOON, (), NOON, 0.0),
        Thing(
            "c",
            facts.Place(0, 2**31 - 1),
            datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=datetime.UTC),
            (
                update.Outcome(0, "added", "0.0.0", ("0.1.0", "0.2.0"), "é"),
                update.Outcome(1, "refused", None, (), ""),
            ),
            datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC),
            1e-300,
        ),
    ],
)
def test_what_is_written_is_read(thing):
    layout = rows.Layout(Thing)
    table = sa.Table("things", sa.MetaData(), *layout.columns(key=("name",)))
    assert {c.name for c in table.c if c.nullable} == {"receipts", "ended"}
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(table.insert(), layout.row(thing))
        query = sa.select(*(table.c[name] for name in layout.names))
        assert layout.item(connection.execute(query).one()) == thing
    engine.dispose()


def test_all_of_a_fact_is_kept_and_shown():
    fields = {field.name for field in dataclasses.fields(facts.Fact)}
    kept = {"fact_id", "user_id", "session", "turn", "quote"}
    assert {column.name for column in tables.OF_FACT} == fields - {"id", "user", "source"} | kept
    schema = wire.Facts.model_json_schema(mode="serialization")["$defs"]["Fact"]
    assert set(schema["properties"]) == fields - {"user"} | {"confidence_now", "told"}
