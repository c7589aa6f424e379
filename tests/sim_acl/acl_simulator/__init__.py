"""The engine behind the simulated `acl`; see ../README.md. `npu.py` holds it together."""
