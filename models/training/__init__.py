"""How our own lifter is trained: `python -m poselift.models.training --motion FOLDER --watched FOLDER -o FOLDER`.

    recordings.py     recorded motion, without its faulty frames and the people who are held out for judging
    motion.py         stretches of it at the network's rate, and which parts of the feet touch the floor
    bodies.py         other people's bodies doing that motion: mirrored, turned, mixed, reshaped; their keypoints
    limbs.py          limbs of others, limbs that bend otherwise
    postures.py       people who lean and who lie
    cameras.py        random cameras that look at them
    detector.py       the errors of a simulated 2D detector
    watched_clips.py  rendered people as BlazePose saw them
    borrowed.py       the errors that it made on these, on people whom it never saw
    batches.py        all of it together: what the network sees, and what it should say
    network.py        the network in torch
    start.py          a network that goes on from an earlier lifter, or learns the feet beside one that is kept
    train.py          the loop: loss, optimiser, checkpoints, loss curve
    export.py         a checkpoint as ONNX with its metadata
    rendered          makes the rendered people, and lets BlazePose watch them

World axes are those of the motion capture: metres, z up. Everything is drawn from numpy generators that are passed in.
"""
