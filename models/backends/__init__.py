"""What networks run on: the CPU or an Ascend NPU."""
