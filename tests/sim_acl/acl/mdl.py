"""`acl.mdl`: models, their descriptions, datasets, execution."""

from __future__ import annotations

from acl_simulator import codes
from acl_simulator.entry import DICT_RET, RET, TWO_VALUES_RET, VALUE_RET, bare, entry, locked
from acl_simulator.errors import AclError
from acl_simulator.network import size_bytes
from acl_simulator.npu import npu

# loading


@entry(str, gives=VALUE_RET, device=True, strikes=False)
@locked
def load_from_file(path):
    return npu().models.load_from_file(path)


@entry(int, int, gives=VALUE_RET, device=True)
@locked
def load_from_mem(address, size):
    if not address or size <= 0:
        raise AclError(codes.INVALID_PARAM)
    return npu().models.load(npu().memory.bytes_at(address, size).tobytes(), "memory")


@entry(str, int, int, int, int, gives=VALUE_RET, device=True, strikes=False)
@locked
def load_from_file_with_mem(path, work, work_bytes, weights, weight_bytes):
    for address, size, needed in zip((work, weights), (work_bytes, weight_bytes), npu().models.query_size(path)):
        if not address or size < needed:
            raise AclError(codes.INVALID_PARAM)
        npu().memory.bytes_at(address, size)
    return npu().models.load_from_file(path)


@entry(str, gives=TWO_VALUES_RET, device=True)
@locked
def query_size(path):
    return npu().models.query_size(path)


@entry(int, gives=RET, device=True, releases=True)
@locked
def unload(model_id):
    npu().models.unload(model_id)


# execution


@entry(int, int, int, gives=RET, device=True, strikes=False)
def execute(model_id, inputs, outputs):
    npu().models.execute(model_id, inputs, outputs)


@entry(int, int, int, int, gives=RET, device=True, strikes=False)
@locked
def execute_async(model_id, inputs, outputs, stream):
    npu().models.execute_async(model_id, inputs, outputs, stream)


# datasets


@entry(gives=bare(0))
@locked
def create_dataset():
    return npu().datasets.create()


@entry(int, gives=RET)
@locked
def destroy_dataset(dataset):
    npu().datasets.destroy(dataset)


@entry(int, int, gives=VALUE_RET)
@locked
def add_dataset_buffer(dataset, buffer):
    return npu().datasets.add(dataset, buffer)


@entry(int, int, gives=bare(0))
@locked
def get_dataset_buffer(dataset, index):
    return _at(npu().datasets.buffers(dataset), index)


@entry(int, gives=bare(0))
@locked
def get_dataset_num_buffers(dataset):
    return len(npu().datasets.buffers(dataset))


# descriptions


@entry(gives=bare(0))
@locked
def create_desc():
    return npu().models.create_description()


@entry(int, gives=RET)
@locked
def destroy_desc(description):
    npu().models.destroy_description(description)


@entry(int, int, gives=RET)
@locked
def get_desc(description, model_id):
    npu().models.describe(description, model_id)


@entry(int, gives=bare(0))
@locked
def get_num_inputs(description):
    return len(npu().models.tensors(description, "inputs"))


@entry(int, gives=bare(0))
@locked
def get_num_outputs(description):
    return len(npu().models.tensors(description, "outputs"))


@entry(int, int, gives=bare(0))
@locked
def get_input_size_by_index(description, index):
    return size_bytes(_tensor(description, "inputs", index))


@entry(int, int, gives=bare(0))
@locked
def get_output_size_by_index(description, index):
    return size_bytes(_tensor(description, "outputs", index))


@entry(int, int, gives=bare(-1))
@locked
def get_input_data_type(description, index):
    return codes.DTYPES[_tensor(description, "inputs", index).dtype]


@entry(int, int, gives=bare(-1))
@locked
def get_output_data_type(description, index):
    return codes.DTYPES[_tensor(description, "outputs", index).dtype]


@entry(int, int, gives=bare(-1))
@locked
def get_input_format(description, index):
    return _tensor(description, "inputs", index) and codes.FORMAT_ND


@entry(int, int, gives=bare(-1))
@locked
def get_output_format(description, index):
    return _tensor(description, "outputs", index) and codes.FORMAT_ND


@entry(int, int, gives=bare(""))
@locked
def get_input_name_by_index(description, index):
    return _tensor(description, "inputs", index).name


@entry(int, int, gives=bare(""))
@locked
def get_output_name_by_index(description, index):
    return _tensor(description, "outputs", index).name


@entry(int, str, gives=VALUE_RET)
@locked
def get_input_index_by_name(description, name):
    return _index(description, "inputs", name)


@entry(int, str, gives=VALUE_RET)
@locked
def get_output_index_by_name(description, name):
    return _index(description, "outputs", name)


@entry(int, int, gives=DICT_RET)
@locked
def get_input_dims(description, index):
    return _dims(_tensor(description, "inputs", index))


@entry(int, int, gives=DICT_RET)
@locked
def get_output_dims(description, index):
    return _dims(_tensor(description, "outputs", index))


def _tensor(description, side, index):
    return _at(npu().models.tensors(description, side), index)


def _at(things, index):
    if index not in range(len(things)):
        raise AclError(codes.INVALID_PARAM)
    return things[index]


def _index(description, side, name):
    names = [tensor.name for tensor in npu().models.tensors(description, side)]
    if name not in names:
        raise AclError(codes.INVALID_PARAM)
    return names.index(name)


def _dims(tensor):
    return {"name": tensor.name, "dimCount": len(tensor.shape), "dims": list(tensor.shape)}
