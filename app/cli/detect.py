"""`poselift detect`: 2D keypoints of a video, in VideoPose3D's format."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Optional
