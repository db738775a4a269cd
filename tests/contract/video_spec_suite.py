"""What a video provider's spec must say of itself, so that the gateway can validate, price and track by it alone."""

from __future__ import annotations

from datetime import date

from mediagate.core.sizes import parse_size
from mediagate.providers.base import VideoKind, VideoModel, VideoSpec
from mediagate.providers.registry import VIDEO_PROVIDERS, video_spec
from tests.contract.video_bench import VideoBench


def models_of(spec: VideoSpec) -> list[VideoModel]:
    """Every model with limits, and the one that stands for all others."""
    return [*spec.models.values(), *([spec.any_model] if spec.any_model else [])]


class VideoSpecContract:
    """Part of `VideoProviderContract`."""

    def test_the_spec_is_the_registered_one(self, bench: VideoBench) -> None:
        spec = bench.provider.spec
        assert spec.name in VIDEO_PROVIDERS
        assert video_spec(spec.name) is spec
        assert spec.title
        assert spec.source.startswith(("https://", "docs/"))
        assert models_of(spec)
        assert bench.model in spec.models or spec.any_model is not None

    def test_defaults_are_among_what_is_allowed(self, bench: VideoBench) -> None:
        for name, model in bench.provider.spec.models.items():
            assert model.name == name
        for model in models_of(bench.provider.spec):
            assert not model.sizes or model.default_size in model.sizes
            assert not model.seconds or model.default_seconds in model.seconds
            assert model.default_seconds > 0
            assert len(set(model.sizes)) == len(model.sizes)
            assert list(model.seconds) == sorted(set(model.seconds))
            assert all(seconds > 0 for seconds in (*model.seconds, *model.extend_seconds))

    def test_sizes_are_pixels(self, bench: VideoBench) -> None:
        for model in models_of(bench.provider.spec):
            for size in (*model.sizes, model.default_size):
                width, height = parse_size(size)
                assert 64 <= width <= 8192
                assert 64 <= height <= 8192
                assert size == f"{width}x{height}"

    def test_kinds_and_inputs_are_known_words(self, bench: VideoBench) -> None:
        for model in models_of(bench.provider.spec):
            assert model.kinds
            assert set(model.kinds) <= set(VideoKind)
            assert model.inputs
            assert set(model.inputs) <= {"text", "image", "video"}
            assert model.prompt_chars_max > 0
            assert not model.extend_seconds or VideoKind.EXTEND in model.kinds

    def test_models_that_are_gone_have_their_day(self, bench: VideoBench) -> None:
        spec = bench.provider.spec
        for name, day in spec.shut_down.items():
            assert name not in spec.models
            assert date.fromisoformat(day).isoformat() == day

    def test_times_make_sense(self, bench: VideoBench) -> None:
        spec = bench.provider.spec
        assert 0 < spec.poll_interval_s < spec.deadline_s
        assert spec.output_life_s is None or spec.output_life_s >= 60
        assert spec.parallel_max is None or spec.parallel_max >= 1
