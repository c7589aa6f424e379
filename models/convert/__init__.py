"""Turns networks as others publish them into the ONNX that runs here. Used once, on a PC; needs the extra `convert`."""
