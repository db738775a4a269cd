"""What the Python client is from the outside: its names, their documentation, and the wheel in an empty environment."""

from __future__ import annotations

import inspect
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

import mediagate_client
from mediagate_client import AsyncClient, Client, MediagateError, UploadStopped
from tests.conftest import Gateway

ROOT = Path(__file__).parent.parent.parent.parent


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    names = mediagate_client.__all__
    assert names == sorted(names)
    assert set(names) <= set(dir(mediagate_client))
    for name in names:
        kind = getattr(mediagate_client, name)
        assert kind.__doc__, name
        if issubclass(kind, BaseException):
            assert issubclass(kind, MediagateError) or kind is UploadStopped, name
    with pytest.raises(AttributeError, match="nothing"):
        mediagate_client.nothing  # noqa: B018


def test_sync_and_async_take_the_same() -> None:
    url, key = "http://127.0.0.1:1", "sk-secret"
    with Client(url, key) as sync:
        other = AsyncClient(url, key)
        for part in ("files", "videos"):
            mine, theirs = getattr(sync, part), getattr(other, part)
            public = {name for name in dir(mine) if not name.startswith("_")}
            assert public == {name for name in dir(theirs) if not name.startswith("_")}
            for name in public:
                method, waited = getattr(theirs, name), getattr(mine, name)
                assert list(inspect.signature(method).parameters) == list(inspect.signature(waited).parameters), name
                assert method.__doc__, name
                assert waited.__doc__, name
        assert key not in f"{sync!r} {other!r} {sync.files!r} {vars(sync)!r} {vars(other.files)!r}"


def test_the_wheel_works_in_an_empty_environment(gateway: Gateway, tmp_path: Path) -> None:
    def uv(*arguments: str) -> None:
        done = subprocess.run(["uv", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr

    uv("build", "-q", "--package", "mediagate-client", "--wheel", "--out-dir", str(tmp_path / "dist"))
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "mediagate_client/py.typed" in names
    assert all(name.startswith(("mediagate_client/", "mediagate_client-")) for name in names)
    uv("venv", "-q", str(tmp_path / "venv"))
    python = tmp_path / "venv" / "bin" / "python"
    uv("pip", "install", "-q", "--python", str(python), str(wheel))
    script = (
        "from mediagate_client import Client, compat\n"
        "for wire in ('grpc', 'rest'):\n"
        "    with Client(transport=wire) as client:\n"
        "        file = client.files.upload(b'from a wheel', filename='wheel.txt')\n"
        "        print(client.files.content(file.id).decode())\n"
    )
    done = subprocess.run(
        [str(python), "-I", "-c", script],
        env={"PATH": os.environ["PATH"], "MEDIAGATE_URL": gateway.url, "MEDIAGATE_API_KEY": gateway.key},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("from a wheel\nfrom a wheel\n", "")
