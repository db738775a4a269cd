"""Path variables as the caller wrote them."""

from __future__ import annotations

import pytest

from mediagate._gen.mediagate.v1 import files_pb2, models_pb2, videos_pb2
from mediagate.api.paths import PathVariables


@pytest.mark.parametrize(
    ("path", "file_id"),
    [
        ("/v1/files/file-1", "file-1"),
        ("/files/file-1", "file-1"),
        ("/openai/v1/files/file-1?file_id=other", "file-1"),
        ("/v1/files/file%2D1", "file-1"),
        ("/v1/files/a%2Fb", "a/b"),
        ("/v1/files/a+b", "a+b"),
        ("/v1/files/%E6%97%A5", "日"),
        ("/v1/files/file-1/content", "from elsewhere"),
        ("/v1/files", "from elsewhere"),
        ("", "from elsewhere"),
    ],
)
def test_the_path_beats_what_was_found_elsewhere(path: str, file_id: str) -> None:
    message = files_pb2.GetFileRequest(file_id="from elsewhere")
    PathVariables.of("/mediagate.v1.FileService/GetFile").apply(path, message)
    assert message.file_id == file_id


def test_a_variable_may_span_segments() -> None:
    message = models_pb2.GetModelRequest()
    PathVariables.of("/mediagate.v1.ModelService/GetModel").apply("/v1/models/team/a%2Fb:c", message)
    assert message.model == "team/a/b:c"


def test_a_path_without_variables_is_not_taken_for_one_that_has() -> None:
    message = videos_pb2.GetVideoRequest(video_id="video_1")
    PathVariables.of("/mediagate.v1.VideoService/GetVideo").apply("/v1/videos/status", message)
    assert message.video_id == "video_1"


def test_a_method_without_paths_has_no_variables() -> None:
    variables = PathVariables.of("/mediagate.v1.FileService/UploadFile")
    assert not variables.patterns
