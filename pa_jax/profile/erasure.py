"""Deleting a user for good, and looking whether anything is left."""

import dataclasses
import json
import mmap
import pathlib
import time

import sqlalchemy as sa

from pa_jax.profile import connect, tables

PIECE_CHARS = 40  # long texts are looked for in pieces: SQLite may split them over pages
MIN_PIECE_BYTES = 8  # anything shorter is found by chance


@dataclasses.dataclass(frozen=True)
class Receipt:
    """What an erasure removed, and where it made sure.

    facts, versions, turns, labels, journal  counts of what was deleted; `turns` are those that
                   were applied, `journal` those of sessions, with what was said in them
    pieces         pieces of the user's words, statements, labels and replies that were looked for
    files          the database's files that were read whole, none on a server
    bytes_checked  their size
    verified       no piece is left in `files`, but for words that other profiles also hold;
                   on a server: no row is left
    note           what this erasure cannot reach
    """

    user: str
    facts: int
    versions: int
    turns: int
    labels: int
    journal: int
    pieces: int
    files: tuple[str, ...]
    bytes_checked: int
    verified: bool
    note: str


_SERVER_NOTE = (
    "PostgreSQL reuses the space of deleted rows over time; its write-ahead log, replicas and "
    "backups keep them for as long as they are kept."
)
_FILE_NOTE = "Copies and backups of the database file are not reached."


def erase(engine: sa.Engine, user: str) -> Receipt:
    """Deletes a user's rows in one transaction, then cleans the files and searches them."""
    with connect.write(engine) as connection:
        texts, counts = _delete(connection, user)
    pieces = _pieces(texts)
    if engine.dialect.name == "sqlite":
        files, size = _clean(engine, pieces)
        note = _FILE_NOTE
    else:
        files, size, note = (), 0, _SERVER_NOTE
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in tables.metadata.sorted_tables:
                connection.execute(sa.text(f"VACUUM {table.name}"))
    return Receipt(user, *counts, len(pieces), files, size, True, note)


def _delete(connection: sa.Connection, user: str) -> tuple[set[str], tuple[int, ...]]:
    """The user's texts, and how many facts, versions, turns, labels and journal turns went."""
    users = tables.USERS.c.user_id == user
    connection.execute(sa.select(tables.USERS).where(users).with_for_update())
    columns = tables.FACTS.c
    rows = connection.execute(
        sa.select(columns.fact_id, columns.statement, columns.quote).where(columns.user_id == user)
    ).all()
    names = connection.execute(
        sa.select(tables.LABELS.c.name).where(tables.LABELS.c.user_id == user)
    ).scalars()
    texts = {text for row in rows for text in row[1:]} | set(names)
    texts |= _said(connection, user)
    deleted = [
        connection.execute(table.delete().where(table.c.user_id == user)).rowcount
        for table in (tables.FACTS, tables.TURNS, tables.LABELS, tables.JOURNAL)
    ]
    connection.execute(tables.USERS.delete().where(users))
    return texts, (len({row.fact_id for row in rows}), *deleted)


def _said(connection: sa.Connection, user: str) -> set[str]:
    """The texts of a user's turns as the file has them; questions are the taxonomy's."""
    columns = tables.JOURNAL.c
    rows = connection.execute(
        sa.select(columns.words, columns.snippet, columns.answer, columns.ops).where(
            columns.user_id == user
        )
    ).all()
    texts = {text for row in rows for text in row[:3] if text is not None}
    ops = [op for row in rows if row.ops is not None for op in json.loads(row.ops)]
    inside = {op[name] for op in ops for name in ("statement", "replaces")} - {None}
    return texts | {json.dumps(text)[1:-1] for text in inside}


def _pieces(texts: set[str]) -> list[str]:
    """Parts of the texts that are long enough to be looked for."""
    parts = {
        text[start : start + PIECE_CHARS]
        for text in texts
        for start in range(0, len(text), PIECE_CHARS)
    }
    return sorted(part for part in parts if len(part.encode()) >= MIN_PIECE_BYTES)


def _clean(engine: sa.Engine, pieces: list[str]) -> tuple[tuple[str, ...], int]:
    """Cleans the files of a SQLite database; their names, and the bytes that were searched.

    secure_delete has zeroed the rows; the write-ahead log still holds the pages as they were,
    and pages that were rebalanced may too. Without pieces to look for, an erasure that was
    interrupted may have left some, so the file is written anew.
    """
    _checkpoint(engine)
    files = _files(engine)
    if not pieces or _found(files, pieces):
        with connect.read(engine) as connection:
            connection.exec_driver_sql("VACUUM")
        _checkpoint(engine)
    left = [piece for piece in _found(files, pieces) if not _is_live(engine, piece)]
    if left:
        raise connect.StoreError(
            f"erased, but {len(left)} of {len(pieces)} pieces of text are still in "
            f"{', '.join(map(str, files))}; close what else has it open, and erase again."
        )
    present = [file for file in files if file.exists()]
    return tuple(map(str, present)), sum(file.stat().st_size for file in present)


def _checkpoint(engine: sa.Engine) -> None:
    """Moves the write-ahead log into the database and empties it, once nobody reads from it."""
    deadline = time.monotonic() + connect.WAIT_SECONDS
    with connect.read(engine) as connection:
        while connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]:
            if time.monotonic() > deadline:
                raise connect.StoreError(
                    "erased, but another process keeps reading the old state, so the write-ahead "
                    "log still has it; close that process, and erase again."
                )
            time.sleep(0.05)


def _files(engine: sa.Engine) -> list[pathlib.Path]:
    with connect.read(engine) as connection:
        main = connection.exec_driver_sql("PRAGMA database_list").all()[0].file
    return [pathlib.Path(main + end) for end in ("", "-wal", "-shm", "-journal")]


def _found(files: list[pathlib.Path], pieces: list[str]) -> list[str]:
    """The pieces that occur in one of the files."""
    found: set[str] = set()
    for file in files:
        if not file.exists() or not file.stat().st_size:
            continue
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as data:
            found |= {piece for piece in pieces if data.find(piece.encode()) >= 0}
    return sorted(found)


def _is_live(engine: sa.Engine, piece: str) -> bool:
    """Whether the database holds these words still: another profile has them, or the schema."""
    schema = sa.select(sa.literal(1)).select_from(sa.text("sqlite_master"))
    queries = [schema.where(sa.func.instr(sa.literal_column("sql"), piece) > 0)]
    for table in tables.metadata.sorted_tables:
        texts = [column for column in table.c if isinstance(column.type, sa.Text)]
        holds = sa.or_(*(sa.func.instr(column, piece) > 0 for column in texts))
        queries.append(sa.select(sa.literal(1)).select_from(table).where(holds))
    with connect.read(engine) as connection:
        return any(connection.execute(query.limit(1)).first() for query in queries)
