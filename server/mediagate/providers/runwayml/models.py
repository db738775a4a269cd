"""Runway's video models: which endpoint takes which, and in which words it wants the size.

The values are those of the request types of Runway's SDK for Python 5.24; what it leaves open is open here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from mediagate.core.sizes import size_of

Sizes = tuple[str, ...]
# Sizes by the word for their resolution.
Tiers = Mapping[str, Sizes]

_WIDE: Final[Sizes] = ("1280x720", "720x1280")
_HD: Final[Sizes] = ("1280x720", "720x1280", "1080x1920", "1920x1080")
_GEN4: Final[Sizes] = ("1280x720", "720x1280", "1104x832", "960x960", "832x1104", "1584x672")
_KLING_4K: Final[Sizes] = ("3840x2160", "2160x3840", "2880x2880")
_KLING_PRO: Final[Sizes] = ("1920x1080", "1080x1920", "1440x1440")
_KLING_STANDARD: Final[Sizes] = ("1280x720", "720x1280", "960x960")
_KLING_TURBO: Final[Sizes] = ("1280x720", "720x1280", "720x720", "1920x1080", "1080x1920", "1440x1440")
_KLING_4: Final[Tiers] = {
    "720p": ("1280x720", "720x1280", "940x940", "1460x624"),
    "1080p": ("1920x1080", "1080x1920", "1440x1440", "2200x940"),
}
_HAPPYHORSE: Final[Tiers] = {
    "720p": ("1280x720", "720x1280", "960x960", "1108x832", "832x1108"),
    "1080p": ("1920x1080", "1080x1920", "1440x1440", "1662x1248", "1248x1662"),
}
_OMNI: Final[Sizes] = (
    *("1280x720", "720x1280", "640x360", "360x640"),
    *("1920x1080", "1080x1920", "3840x2160", "2160x3840"),
)
_SEEDANCE_720: Final[Sizes] = ("1280x720", "720x1280", "1470x630", "1112x834", "960x960", "834x1112")
_SEEDANCE_480: Final[Sizes] = ("992x432", "864x496", "752x560", "640x640", "560x752", "496x864")
_SEEDANCE_1080: Final[Sizes] = ("2206x946", "1920x1080", "1664x1248", "1440x1440", "1248x1664", "1080x1920")
_SEEDANCE_4K: Final[Sizes] = ("3840x1646", "3840x2160", "3840x2880", "3840x3840", "2880x3840", "2160x3840")
_SEEDANCE_25_480: Final[Sizes] = ("992x432", "854x480", "752x560", "640x640", "560x752", "480x854")
_WAN3: Final[Tiers] = {
    "720p": ("1280x720", "720x1280", "1104x832", "960x960", "832x1104"),
    "480p": ("832x480", "720x544", "624x624", "544x720", "480x832"),
    "1080p": ("1920x1080", "1648x1248", "1440x1440", "1248x1648", "1080x1920"),
}
_GROK_LITE: Final[Tiers] = {
    "720p": ("1280x720", "720x1280", "720x720", "960x720", "720x960", "1088x720", "720x1088"),
    "480p": ("848x480", "480x848", "480x480", "640x480", "480x640", "720x480", "480x720"),
    "1080p": ("1904x1072", "1072x1904", "1424x1424", "1648x1232", "1232x1648", "1744x1152", "1152x1744"),
}


def _of(ratios: tuple[str, ...], *resolutions: str) -> Tiers:
    return {resolution: tuple(size_of(ratio, resolution) for ratio in ratios) for resolution in resolutions}


_GROK: Final = _of(("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3"), "720p", "480p", "1080p")
_HAILUO: Final = _of(("16:9", "9:16", "1:1", "4:3", "3:4", "21:9"), "768p")
_H3: Final = _of(("16:9",), "768p", "480p")


class Shape(StrEnum):
    """How an endpoint is told the size of a video."""

    PIXELS = "pixels"
    """`ratio` is `1280:720`."""
    ASPECT = "aspect"
    """`ratio` is `16:9`, and `resolution` is `720p`."""
    RESOLUTION = "resolution"
    """`resolution` alone: the input has the ratio."""
    AUTO = "auto"
    """`ratio` is `auto_720p`: the input has the ratio."""
    NONE = "none"
    """Not at all: the input has the size."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How one endpoint takes a model. `tiers` are all the sizes that can be asked for. `video` is the member that holds
    the source video, and `modes` the words for what is done with it, by `remix`, `edit` and `extend`. `timed`: a length
    can be asked for; `audible`: sound can."""

    shape: Shape
    tiers: Tiers = field(default_factory=dict)
    timed: bool = True
    audible: bool = False
    video: str = "videoUri"
    modes: Mapping[str, str] = field(default_factory=dict)

    @property
    def sizes(self) -> Sizes:
        """Every size."""
        return tuple(size for sizes in self.tiers.values() for size in sizes)

    def resolution(self, size: str) -> str:
        """The word for the resolution of `size`; that of the first tier for a size that is in none."""
        return next((word for word, sizes in self.tiers.items() if size in sizes), next(iter(self.tiers)))


@dataclass(frozen=True, slots=True)
class RunwayModel:
    """One model. Endpoints are None where it has not got them. Empty `seconds`: the SDK does not say which."""

    name: str
    text: Endpoint | None = None
    image: Endpoint | None = None
    video: Endpoint | None = None
    kinds: tuple[str, ...] = ()
    seconds: tuple[int, ...] = ()
    default_seconds: int = 5
    prompt_chars_max: int = 32_000

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """Those that it has, by what it starts from."""
        named = {"text": self.text, "image": self.image, "video": self.video}
        return {name: endpoint for name, endpoint in named.items() if endpoint is not None}

    @property
    def sizes(self) -> Sizes:
        """Every size that one of the endpoints makes; none where all follow their input."""
        return tuple(dict.fromkeys(size for endpoint in self.endpoints.values() for size in endpoint.sizes))


def _pixels(*sizes: str, audible: bool = False) -> Endpoint:
    return Endpoint(Shape.PIXELS, {"": sizes}, audible=audible)


def _tiered(tiers: Tiers, *, audible: bool = False) -> Endpoint:
    return Endpoint(Shape.PIXELS, tiers, audible=audible)


_MODES: Final = {"remix": "edit", "edit": "edit", "extend": "extend"}
_KLING_VIDEO: Final = Endpoint(Shape.NONE, timed=False, video="promptVideo")
_CHANGED: Final = ("remix", "edit")


def _kling(name: str, sizes: Sizes, video: Endpoint | None = None) -> RunwayModel:
    endpoint = _pixels(*sizes, audible=True)
    return RunwayModel(name, endpoint, endpoint, video, kinds=_CHANGED if video else ())


def _seedance(name: str, *sizes: str) -> RunwayModel:
    endpoint = Endpoint(Shape.PIXELS, {"": sizes}, audible=True, video="promptVideo")
    return RunwayModel(name, endpoint, endpoint, endpoint, kinds=("remix",), prompt_chars_max=3500)


def _gen(name: str, text: Endpoint | None, image: Endpoint, seconds: tuple[int, ...]) -> RunwayModel:
    return RunwayModel(name, text, image, seconds=seconds, prompt_chars_max=1000)


def _veo(name: str) -> RunwayModel:
    endpoint = _pixels(*_HD, audible=True)
    return RunwayModel(name, endpoint, endpoint, seconds=(4, 6, 8), default_seconds=8, prompt_chars_max=1000)


def _wan(name: str) -> RunwayModel:
    return RunwayModel(name, _tiered(_WAN3, audible=True), Endpoint(Shape.AUTO, _WAN3, audible=True))


_ALL: Final = (
    _gen("gen4.5", _pixels(*_WIDE), _pixels(*_GEN4), tuple(range(2, 11))),
    _gen("gen4_turbo", None, _pixels(*_GEN4), (5, 10)),
    RunwayModel("aleph2", video=Endpoint(Shape.NONE, timed=False), kinds=_CHANGED),
    _veo("veo3.1"),
    _veo("veo3.1_fast"),
    RunwayModel(
        "gemini_omni_flash",
        _pixels(*_WIDE),
        _pixels(*_WIDE),
        Endpoint(Shape.NONE, timed=False),
        kinds=_CHANGED,
        seconds=tuple(range(3, 11)),
    ),
    RunwayModel(
        "gemini_omni_flash_1.1",
        _pixels(*_OMNI),
        _pixels(*_OMNI),
        Endpoint(Shape.NONE, modes=_MODES),
        kinds=(*_CHANGED, "extend"),
        seconds=tuple(range(3, 11)),
    ),
    _seedance("seedance2", *_SEEDANCE_720, *_SEEDANCE_480, *_SEEDANCE_1080, *_SEEDANCE_4K),
    _seedance("seedance2_fast", *_SEEDANCE_720, *_SEEDANCE_480),
    _seedance("seedance2_mini", *_SEEDANCE_720, *_SEEDANCE_480),
    RunwayModel(
        "seedance2_5",
        _pixels(*_SEEDANCE_720, *_SEEDANCE_25_480, *_SEEDANCE_1080, audible=True),
        _pixels(*_SEEDANCE_720, *_SEEDANCE_25_480, *_SEEDANCE_1080, audible=True),
        Endpoint(Shape.NONE, audible=True, video="promptVideo", modes=_MODES),
        kinds=(*_CHANGED, "extend"),
        prompt_chars_max=15_000,
    ),
    RunwayModel(
        "kling2.5_turbo_pro",
        _pixels(*_KLING_TURBO),
        Endpoint(Shape.NONE),
        seconds=(5, 10),
    ),
    _kling("kling3.0_standard", _KLING_STANDARD),
    _kling("kling3.0_pro", _KLING_PRO),
    _kling("kling3.0_4k", _KLING_4K),
    _kling("klingO3_standard", _KLING_STANDARD, _KLING_VIDEO),
    _kling("klingO3_pro", _KLING_PRO, _KLING_VIDEO),
    _kling("klingO3_4k", _KLING_4K, _KLING_VIDEO),
    RunwayModel(
        "kling_4",
        _tiered(_KLING_4),
        Endpoint(Shape.AUTO, _KLING_4),
        Endpoint(Shape.AUTO, _KLING_4, timed=False),
        kinds=_CHANGED,
    ),
    RunwayModel(
        "hailuo3",
        Endpoint(Shape.ASPECT, _HAILUO),
        Endpoint(Shape.ASPECT, _HAILUO),
        Endpoint(Shape.ASPECT, _HAILUO, video="promptVideo"),
        kinds=("remix",),
    ),
    RunwayModel("h3_max", Endpoint(Shape.RESOLUTION, _H3), Endpoint(Shape.RESOLUTION, _H3)),
    _wan("wan3"),
    _wan("wan3_prime"),
    RunwayModel("grok_imagine_1_5", Endpoint(Shape.ASPECT, _GROK), Endpoint(Shape.RESOLUTION, _GROK)),
    RunwayModel("grok_imagine_1_5_lite", _tiered(_GROK_LITE), Endpoint(Shape.AUTO, _GROK_LITE)),
    RunwayModel(
        "happyhorse_1_0",
        _tiered(_HAPPYHORSE),
        Endpoint(Shape.RESOLUTION, _HAPPYHORSE),
        prompt_chars_max=2500,
    ),
)
MODELS: Final[Mapping[str, RunwayModel]] = {model.name: model for model in _ALL}

# What a model that came later most likely takes.
UNKNOWN: Final = RunwayModel(
    "", Endpoint(Shape.PIXELS), Endpoint(Shape.PIXELS), Endpoint(Shape.NONE, timed=False), kinds=_CHANGED
)
