"""Writes TFLite files of a few tensors, for tests of the converter."""

from __future__ import annotations

import flatbuffers
import numpy as np
import tflite

from poselift.models.convert.tflite_sparse import DenseLevel

PICTURE_SIZE = (9, 12)


class Tiny:
    """One file. Its network begins with a pointwise convolution, since a picture must; then comes what is tested."""

    def __init__(self, channels=4):
        self.rng = np.random.default_rng(2)
        self.builder = flatbuffers.Builder()
        self.tensors, self.operators, self.codes, self.outputs = [], [], [], []
        self.quantizations = {}
        self.picture = self.tensor((1, *PICTURE_SIZE, 3))
        self.features = self.convolution(self.picture, (channels, 1, 1, 3), (1, *PICTURE_SIZE, channels))

    def tensor(self, shape, constant=None, sparsity=None):
        self.tensors.append((shape, constant, sparsity))
        return len(self.tensors) - 1

    def constant(self, array):
        return self.tensor(np.shape(array), np.asarray(array))

    def quantized(self, array, scale, zero, dimension=0):
        """A constant that stands for (array - zero) x scale; a scale for each place along the dimension, or one for all."""
        number = self.constant(array)
        self.quantizations[number] = np.atleast_1d(np.float32(scale)), np.atleast_1d(np.int64(zero)), dimension
        return number

    def weights(self, *shape):
        return self.constant(self.rng.normal(size=shape).astype(np.float32))

    def operator(self, kind, inputs, output_shape, options=None, **fields):
        output = self.tensor(output_shape)
        self.operators.append((kind, inputs, output, options, fields))
        return output

    def convolution(self, source, kernel, output_shape, weights=None, stride=(1, 1), dilation=(1, 1), padding="VALID", activation="NONE"):
        weights = self.weights(*kernel) if weights is None else weights
        return self.operator(
            "CONV_2D", [source, weights, self.weights(kernel[0])], output_shape, "Conv2DOptions",
            Padding=getattr(tflite.Padding, padding), StrideH=stride[0], StrideW=stride[1],
            DilationHFactor=dilation[0], DilationWFactor=dilation[1],
            FusedActivationFunction=getattr(tflite.ActivationFunctionType, activation),
        )  # fmt: skip

    def file(self):
        b = self.builder
        buffers = [self._buffer(None)] + [self._buffer(constant) for _, constant, _ in self.tensors]
        tensors = [self._tensor(index, *tensor) for index, tensor in enumerate(self.tensors)]
        operators = [self._operator(*operator) for operator in self.operators]
        codes = []
        for kind in self.codes:
            tflite.OperatorCodeStart(b)
            tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(getattr(tflite.BuiltinOperator, kind), 127))
            tflite.OperatorCodeAddBuiltinCode(b, getattr(tflite.BuiltinOperator, kind))
            tflite.OperatorCodeAddVersion(b, 1)
            codes.append(tflite.OperatorCodeEnd(b))
        parts = {
            "Tensors": self._tables(tensors), "Operators": self._tables(operators),
            "Inputs": self._integers([self.picture]), "Outputs": self._integers(self.outputs or [len(self.tensors) - 1]),
        }  # fmt: skip
        tflite.SubGraphStart(b)
        for name, part in parts.items():
            getattr(tflite, f"SubGraphAdd{name}")(b, part)
        parts = {
            "Subgraphs": self._tables([tflite.SubGraphEnd(b)]),
            "OperatorCodes": self._tables(codes),
            "Buffers": self._tables(buffers),
        }
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        for name, part in parts.items():
            getattr(tflite, f"ModelAdd{name}")(b, part)
        b.Finish(tflite.ModelEnd(b), file_identifier=b"TFL3")
        return bytes(b.Output())

    def _tables(self, offsets):
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return self.builder.EndVector()

    def _integers(self, values):
        return self.builder.CreateNumpyVector(np.array(values, np.int32))

    def _buffer(self, constant):
        data = None
        if constant is not None:
            content = constant.tobytes()
            self.builder.StartVector(1, len(content), 16)
            for byte in reversed(content):
                self.builder.PrependByte(byte)
            data = self.builder.EndVector()
        tflite.BufferStart(self.builder)
        if data is not None:
            tflite.BufferAddData(self.builder, data)
        return tflite.BufferEnd(self.builder)

    def _tensor(self, index, shape, constant, sparsity):
        b = self.builder
        dtype = np.dtype(np.float32 if constant is None else constant.dtype).name.upper()
        name, dimensions = b.CreateString(f"tensor {index}"), self._integers(shape)
        sparsity = sparsity and self._sparsity(*sparsity)
        quantization = index in self.quantizations and self._quantization(*self.quantizations[index])
        tflite.TensorStart(b)
        tflite.TensorAddShape(b, dimensions)
        tflite.TensorAddType(b, getattr(tflite.TensorType, dtype))
        tflite.TensorAddBuffer(b, index + 1)
        tflite.TensorAddName(b, name)
        if sparsity:
            tflite.TensorAddSparsity(b, sparsity)
        if quantization:
            tflite.TensorAddQuantization(b, quantization)
        return tflite.TensorEnd(b)

    def _quantization(self, scale, zero, dimension):
        b = self.builder
        scale, zero = b.CreateNumpyVector(scale), b.CreateNumpyVector(zero)
        tflite.QuantizationParametersStart(b)
        tflite.QuantizationParametersAddScale(b, scale)
        tflite.QuantizationParametersAddZeroPoint(b, zero)
        tflite.QuantizationParametersAddQuantizedDimension(b, dimension)
        return tflite.QuantizationParametersEnd(b)

    def _sparsity(self, levels, order, block_map):
        b, tables = self.builder, []
        for level in levels:
            vectors = []
            for values in () if isinstance(level, DenseLevel) else level:
                values = self._integers(values)
                tflite.Int32VectorStart(b)
                tflite.Int32VectorAddValues(b, values)
                vectors.append(tflite.Int32VectorEnd(b))
            tflite.DimensionMetadataStart(b)
            tflite.DimensionMetadataAddFormat(b, tflite.DimensionType.SPARSE_CSR if vectors else tflite.DimensionType.DENSE)
            if vectors:
                for part, vector in zip(("Segments", "Indices"), vectors):
                    getattr(tflite, f"DimensionMetadataAddArray{part}Type")(b, tflite.SparseIndexVector.Int32Vector)
                    getattr(tflite, f"DimensionMetadataAddArray{part}")(b, vector)
            else:
                tflite.DimensionMetadataAddDenseSize(b, level.size)
            tables.append(tflite.DimensionMetadataEnd(b))
        tables, order, block_map = self._tables(tables), self._integers(order), self._integers(block_map)
        tflite.SparsityParametersStart(b)
        tflite.SparsityParametersAddTraversalOrder(b, order)
        tflite.SparsityParametersAddBlockMap(b, block_map)
        tflite.SparsityParametersAddDimMetadata(b, tables)
        return tflite.SparsityParametersEnd(b)

    def _operator(self, kind, inputs, output, options, fields):
        b = self.builder
        if kind not in self.codes:
            self.codes.append(kind)
        if options:
            getattr(tflite, f"{options}Start")(b)
            for field, value in fields.items():
                getattr(tflite, f"{options}Add{field}")(b, value)
            table = getattr(tflite, f"{options}End")(b)
        inputs, outputs = self._integers(inputs), self._integers([output])
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, self.codes.index(kind))
        tflite.OperatorAddInputs(b, inputs)
        tflite.OperatorAddOutputs(b, outputs)
        if options:
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, options))
            tflite.OperatorAddBuiltinOptions(b, table)
        return tflite.OperatorEnd(b)
