"""Rendered people, watched by BlazePose: `python -m poselift.models.training.rendered OUT_DIR --motion FOLDER`.

For a detector's real errors, its confidence and its depth beside the truth: training reads them (`models/training/watched_clips.py`).

    body.py       MakeHuman's mesh, skeleton and shapes
    builds.py     people of all ages and builds, and their clothes
    pose.py       recorded joints to poses of a body
    motions.py    recorded motion with feet, without its faulty frames, and varied
    shots.py      cameras
    looks.py      clothes, hair, colours, light
    picture.py    pictures, made fast
    scene.py, raster.py   pictures made well: a room, every pixel painted (`bench/rendered`)
    truth.py      where joints and keypoints truly are
    watched.py    BlazePose, and all that it says
    clip.py       one clip of it all

OUT_DIR gets clip-SEED-NUMBER.npz. A clip is there as a whole or not at all. One that is there is not made again. The same seed and number
make the same clip. CMU subjects 05 and 135 are never in one; every 20th is of those who choose between recipes (`split` says so).

A clip is one person in T pictures. The camera's axes are x right, y down, z forward; "21" is 17 and then left heel, left toe, right heel,
right toe.

    joints_m [T, 21, 3]     Human3.6M's joints on the body, in the camera's axes
    keypoints_m [T, 21, 3]  COCO's keypoints on the body, in the camera's axes
    keypoints_px [T, 21, 2] the same in the picture
    visible [T, 21]         of these, by COCO's numbers: 0 outside the picture, 1 hidden, 2 visible
    focal_px, size_px [2]   the camera's lens, and the width and height of its picture
    rotation [3, 3], place_m [3]   the camera's axes in rows, and its place, in a world with z up and the floor at 0
    down [3]                where things fall to, in the camera's axes
    fps, motion, start_s, tempo, mirrored, feet_recorded  what the person does; without recorded feet they are made up, as in `pose`
    height_m, build [7]     the person: `builds.Build`, its numbers one after the other
    split                   "train" or "validation"
    seen_px [T, 33, 2], seen_depth_px, seen_visibility, seen_presence [T, 33], seen_world_m [T, 33, 3], seen_confidence [T]
                            what BlazePose says: `watched.Said`; NaN in pictures in which it sees nobody
"""
