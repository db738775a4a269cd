"""The process that looks into a finished video, or a picture of a caller.

    python -P -m mediagate.media.program measure|draw|shrink FILE_DESCRIPTOR PARENT_PID

Prints one line of JSON: what `measure` found, the lengths of the pictures that follow it, or `{"bad": why}`. Every exit
but 0 says nothing about the video, unless it is a signal that only the video can have caused.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

from mediagate.media.containers import BadVideo
from mediagate.media.modest import Watch, be_modest

CPU_S_MAX: Final = 180


def main(arguments: list[str]) -> int:
    be_modest(CPU_S_MAX)
    Watch(int(arguments[2])).start()
    # Behind the limits: the libraries read their own files alone.
    from mediagate.media.measuring import measure

    path = Path(f"/dev/fd/{int(arguments[1])}")
    pictures: tuple[bytes, ...] = ()
    try:
        if arguments[0] == "draw":
            from mediagate.media.pictures import draw

            pictures = draw(path)
            found: object = {"lengths": [len(picture) for picture in pictures]}
        elif arguments[0] == "shrink":
            from mediagate.media.shrinking import shrink

            pictures = (shrink(path),)
            found = {"lengths": [len(pictures[0])]}
        else:
            found = asdict(measure(path))
    except BadVideo as error:
        found = {"bad": str(error)}
    sys.stdout.buffer.write(b"".join([json.dumps(found).encode(), b"\n", *pictures]))
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
