"""Turns networks as others publish them into the ONNX that runs here. Used once, on a PC; needs the extra `convert`."""

OPSET, IR_VERSION = 11, 6
"""Of every ONNX graph that is written here: what every CANN takes, and the file format of that time, which old runtimes read, too."""
