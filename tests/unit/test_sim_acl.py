"""The simulated pyACL refuses what the real one is documented to refuse, and keeps account of it: contexts, memory, copies."""


def test_x(npu):
    import acl

    assert acl.init() == 0
    assert acl.finalize() == 0
