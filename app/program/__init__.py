"""The poses of a running pipeline for a program, on this machine or elsewhere; `api.py` is what programs call."""
