"""How right the lifter is, by `python -m bench.accuracy`: tables and pictures for docs/accuracy.md.

judge.py        the judge's held-out people, cameras and noise; its datasets, made once
lifting.py      2D to 3D, by the class or by the command
study.py        what every part is given, and what it hands over
stretches.py    a piece of each clip in which something happens to the keypoints
measures.py     errors, delays, trembling
pictures.py     how the pictures look
page.py         how the page looks
words.py        names and figures for people
headline.py feet.py rate.py occlusion.py swaps.py calibration.py smoothness.py    a part each
"""
