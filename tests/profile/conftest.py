"""Databases for the store's tests: a SQLite file, and a PostgreSQL server of their own."""

import itertools
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile

import pytest

from pa_jax.profile import store

_SERVER_USER = "postgres"
_NAMES = itertools.count()


def _program(name: str) -> str | None:
    installed = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(installed[-1]) if installed else shutil.which(name)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def postgres():
    """URL prefix of a PostgreSQL server that lives as long as the tests; end it in a name."""
    programs = {name: _program(name) for name in ("initdb", "pg_ctl", "postgres")}
    missing = [name for name, path in programs.items() if path is None]
    if missing:
        pytest.skip(f"PostgreSQL has no {', '.join(missing)} here; install Debian's postgresql")
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install pa_jax[postgres]")
    as_user = []
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        try:
            account = pwd.getpwnam(_SERVER_USER)
        except KeyError:
            pytest.skip(f"running as root, and there is no user {_SERVER_USER} to run PostgreSQL")
        as_user = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}"]
        as_user.append("--clear-groups")
    # not pytest's own folder, which every other pytest of the same user closes to all but root
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pa_jax_postgres_"))
    if as_user:
        os.chown(folder, account.pw_uid, account.pw_gid)

    def run(name: str, *options: str) -> None:
        with open(folder / f"{name}.out", "ab") as output:
            command = [*as_user, programs[name], "-D", str(folder / "data"), *options]
            done = subprocess.run(command, stdout=output, stderr=output, timeout=120, cwd=folder)
        assert done.returncode == 0, (folder / f"{name}.out").read_text()

    port = _free_port()
    (folder / "initdb.out").touch()
    run("initdb", "-U", _SERVER_USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
    settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    run("pg_ctl", "-o", settings, "-l", str(folder / "server.log"), "-w", "start")
    yield f"postgresql://{_SERVER_USER}@127.0.0.1:{port}"
    run("pg_ctl", "-m", "immediate", "-w", "stop")
    shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres):
    """URL of an empty PostgreSQL database."""
    import psycopg

    name = f"test{next(_NAMES)}"
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    return f"{postgres}/{name}"


@pytest.fixture
def sqlite_url(tmp_path):
    """URL of a SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path}/profiles.db"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request):
    """URL of an empty database of each kind."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def profiles(url):
    """A store on an empty database of each kind."""
    opened = store.ProfileStore(url)
    yield opened
    opened.close()
