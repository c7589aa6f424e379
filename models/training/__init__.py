"""How our own lifter is trained: `python -m poselift.models.training --motion cmu_h36m17.npz -o FOLDER`.

    motion.py     recorded motion, without the people who are held out for judging
    bodies.py     other people's bodies doing that motion: mirrored, turned, mixed, reshaped; their COCO keypoints
    limbs.py      arms of others, limbs that bend otherwise
    cameras.py    random cameras that look at them
    detector.py   the errors of a 2D detector
    batches.py    all of it together: what the network sees, and what it should say
    network.py    the network in torch
    train.py      the loop: loss, optimiser, checkpoints, loss curve
    export.py     a checkpoint as ONNX with its metadata
    rendered      rendered people watched by BlazePose, for a detector's real errors; not read yet

World axes are those of the motion capture: metres, z up. Everything is drawn from numpy generators that are passed in.
"""
