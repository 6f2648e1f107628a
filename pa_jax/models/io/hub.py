"""`hf:ORG/NAME`: what loading needs of a Hugging Face repository, whole and checked.

huggingface_hub starts an interrupted file over and compares sizes, not hashes (2.4.0). Weights are
therefore fetched here, into its cache and under its names, by byte range from where a killed
process stopped, and their hash is compared with the one that the Hub gives.
"""

import concurrent.futures
import os
import pathlib
import re

import huggingface_hub
from absl import logging
from huggingface_hub import errors, file_download, utils

from pa_jax.models.io import checked, safetensors

SMALL = (  # what models.load reads besides weights
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    safetensors.INDEX,
)
AT_ONCE = 4  # files; a single connection seldom fills the line
# errors.HTTPError is the HTTP library's own class, whichever the installed version uses.
FAILURES = (OSError, ValueError, errors.HTTPError)
HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def fetch(repo: str, stamps: pathlib.Path) -> pathlib.Path:
    """The repository's folder in the hub's cache, weights included; offline, what is there.

    `stamps` is a folder that keeps what was checked, so that it is hashed once.
    """
    stamps.mkdir(parents=True, exist_ok=True)
    try:
        folder = pathlib.Path(huggingface_hub.snapshot_download(repo, allow_patterns=list(SMALL)))
        with checked.lock(stamps / f"{repo.replace('/', '--')}.lock"):
            with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
                done = [pool.submit(_weights, repo, folder, n, stamps) for n in _names(folder)]
            for future in done:
                future.result()
        return folder
    except FAILURES as error:
        absent = isinstance(error, errors.EntryNotFoundError)
        if absent and not isinstance(error, errors.LocalEntryNotFoundError):
            remedy = (
                "only safetensors are read: give a repository with model.safetensors, or with "
                f"shards and {safetensors.INDEX}"
            )
        else:
            remedy = (
                "check the name, the network and your login (`hf auth login`), or give a local "
                "folder; what has arrived is kept, and a new start goes on from there"
            )
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ValueError(
            f"model.source='hf:{repo}' could not be fetched ({text}); {remedy}."
        ) from error


def _names(folder: pathlib.Path) -> list[str]:
    """The weight files of the repository."""
    if not (folder / safetensors.INDEX).is_file():
        return [safetensors.SINGLE]
    index = safetensors.read_json(folder / safetensors.INDEX)
    named = sorted(set(index.get("weight_map", {}).values()))
    for name in named:
        if not re.fullmatch(r"[\w.-]+\.safetensors", name):
            raise ValueError(f"{safetensors.INDEX} names {name!r}; shards lie beside it.")
    return named


def _weights(repo: str, folder: pathlib.Path, name: str, stamps: pathlib.Path) -> None:
    """Have one weight file in `folder` that is what the Hub says; refetched once if damaged."""
    path = folder / name
    if path.exists():
        if _sound(path.resolve(), stamps):
            return
        path.unlink()
    url = huggingface_hub.hf_hub_url(repo, name, revision=folder.name)
    meta = huggingface_hub.get_hf_file_metadata(url)
    if meta.etag is None or not HASH.fullmatch(meta.etag):
        raise ValueError(f"{url} came with ETag {meta.etag!r}; a sha256 or git hash is expected.")
    blob = folder.parent.parent / "blobs" / meta.etag
    if not (blob.exists() and _sound(blob, stamps)):
        part = blob.with_name(f"{meta.etag}.pa_jax.incomplete")
        for last in (False, True):
            resume(url, part, meta.size, name)
            problem = checked.problem(part, meta.etag, _stamp(meta.etag, stamps))
            if not problem:
                break
            part.unlink()
            if last:
                raise ValueError(f"{url} arrived damaged twice: {problem}")
            logging.warning("%s: %s; fetching it again", name, problem)
        os.replace(part, blob)  # its size and time stay, so its stamp holds
    huggingface_hub.snapshot_download(repo, revision=folder.name, allow_patterns=[name])  # links it


def _stamp(etag: str, stamps: pathlib.Path) -> pathlib.Path:
    return stamps / f"{etag}.stamp"


def _sound(blob: pathlib.Path, stamps: pathlib.Path) -> bool:
    """Whether a file of the hub's cache is what its name says; removed if not."""
    if not HASH.fullmatch(blob.name):
        return True  # a cache without links does not say
    problem = checked.problem(blob, blob.name, _stamp(blob.name, stamps))
    if problem:
        logging.warning("%s: %s; fetching it again", blob, problem)
        blob.unlink()
    return not problem


def resume(url: str, part: pathlib.Path, size: int | None, name: str) -> None:
    """Fetch what `part` lacks of the file."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as file:
        have = file.tell()
        if size is not None and have > size:
            file.truncate(have := 0)
        if have:
            logging.info("%s: going on from byte %d of %s", name, have, size)
        headers = utils.build_hf_headers() | {"Accept-Encoding": "identity"}
        file_download.http_get(
            url,
            file,
            resume_size=have,
            headers=headers,
            expected_size=size,
            displayed_filename=name,
        )
        file.flush()
        os.fsync(file.fileno())
