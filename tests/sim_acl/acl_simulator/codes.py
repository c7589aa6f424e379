"""Return codes and numbers of pyACL, as the CANN documentation lists them ("aclError"); the real module exports none of them."""

INVALID_PARAM = 100000
UNINITIALISED = 100001
REPEAT_INITIALISE = 100002
REPEAT_FINALIZE = 100037
RUNTIME_PARAM = 107000
INVALID_DEVICE = 107001
NO_CONTEXT = 107002
STREAM_CONTEXT = 107003
INVALID_HANDLE = 107017
EXEC_PARAM = 145000
MODEL_PATH = 145002
MODEL_ID = 145003
MODEL_DATA_SIZE = 145006
NOT_SUPPORTED = 200001
MEMORY_ALLOCATION = 207001
ENGINE_FAILURE = 500002
CORE_EXCEPTION = 507015
DEVICE_SETUP = 507033
DRIVER = 507899

DEVICE, HOST = 0, 1
"""Run modes."""
H2H, H2D, D2H, D2D = range(4)
"""Kinds of copies."""
DTYPES = {
    "float32": 0, "float16": 1, "int8": 2, "int32": 3, "uint8": 4, "int16": 6,
    "uint16": 7, "uint32": 8, "int64": 9, "uint64": 10, "float64": 11, "bool": 12,
}  # fmt: skip
FORMAT_ND = 2
