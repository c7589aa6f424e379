"""Makes images/demo.webp, the demo clip as `poselift lift` draws it, for the README: `.venv/bin/python docs/animation.py`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

from poselift.models.store import path_of

PICTURE = Path(__file__).with_name("images") / "demo.webp"
WIDTH_PX = 960
EVERY = 3
"""Of the clip's 30 pictures a second, every third is shown."""
QUALITY = 70


def main() -> None:
    """Write the picture. From a file nothing is dropped, so it is the same on any machine."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "poselift", "lift", str(path_of("demo_clip")), "-o", folder], check=True)
        video = cv2.VideoCapture(str(Path(folder, "poses.mp4")))
        shown = []
        while video.grab():
            if round(video.get(cv2.CAP_PROP_POS_FRAMES)) % EVERY == 1:
                _, picture = video.retrieve()
                size = WIDTH_PX, round(picture.shape[0] * WIDTH_PX / picture.shape[1])
                shown.append(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        animation = cv2.Animation()
        animation.frames, animation.durations = shown, [round(1000 * EVERY / video.get(cv2.CAP_PROP_FPS))] * len(shown)
    cv2.imwriteanimation(str(PICTURE), animation, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    print(f"{PICTURE}: {len(shown)} pictures, {PICTURE.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
