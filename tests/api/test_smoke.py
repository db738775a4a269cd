"""The first ten minutes of a newcomer, in one test."""

from __future__ import annotations

import os

import openai
import pytest


def test_a_file_goes_in_and_comes_back(client: openai.OpenAI) -> None:
    data = os.urandom(3_000_000)
    file = client.files.create(file=("report.bin", data), purpose="user_data")
    assert client.files.content(file.id).read() == data
    assert file.id in [listed.id for listed in client.files.list(limit=5)]
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_a_video_is_made_and_downloaded(client: openai.OpenAI) -> None:
    video = client.videos.create_and_poll(prompt="A paper boat", model="local-video", size="320x180", seconds="1")  # type: ignore[arg-type]
    assert video.status == "completed"
    assert client.videos.download_content(video.id).read()[4:8] == b"ftyp"
    assert client.videos.delete(video.id).deleted
