"""The `atc` command of a network, and a script of such commands: what CANN's toolkit is told. Neither was run: no toolkit is at hand.

From Huawei's "ATC" guide, a page for each option (5.0.4, 6.0.1, 8.0 and 9.0 agree):
- `--framework=5` is ONNX. `--output` is without its ending: ATC adds .om.
- `--input_format=ND`: of ONNX NCHW (the default), NCDHW and ND are possible, one for all inputs. Ours have one to four axes and are no NCHW
  pictures; a convolution inside sets its own format (CANN's published conv_plugin.cc).
- `--input_shape`, "name:size,size;name:size"; `--soc_version` names the chip.
- `--out_nodes="node:0;..."`: without it the outputs are "the last layer's", which would leave out one that is read within the graph, as the
  lifter's next_state_age is.
- `--output_type=FP32`: outputs are float32, so that the lifter's next state is of its state's type.
- `--precision_mode=force_fp16` is the default for inference, said here because all that we claim rests on it.
- `--log=error`: ATC's log (~/ascend/log) says why it failed; by default it says nothing.
- No `--insert_op_conf`: the picture is normalised within the graph.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

import onnx

from poselift.models.convert.atc_graph import shape_of

SOCS: Mapping[str, str] = {"Ascend310": "Atlas 200 DK", "Ascend310B1": "", "Ascend310B4": "Atlas 200I DK A2"}
"""The chips as ATC names them, and the board that has them."""


def command(name: str, model: onnx.ModelProto, soc: str) -> list[str]:
    """What makes NAME.om of NAME.onnx in the working folder, which holds `model`."""
    shapes = (f"{value.name}:{','.join(map(str, shape_of(value.type.tensor_type)))}" for value in model.graph.input)
    return [
        "atc",
        "--framework=5",
        f"--model={name}.onnx",
        f"--output={name}",
        "--input_format=ND",
        f"--input_shape={';'.join(shapes)}",
        f"--out_nodes={';'.join(f'{value.name}:0' for value in model.graph.output)}",
        "--output_type=FP32",
        "--precision_mode=force_fp16",
        f"--soc_version={soc}",
        "--log=error",
    ]


def script(commands: Mapping[str, Sequence[str]], soc: str) -> str:
    """A shell script that makes all networks in the folder in which it lies."""
    lines = [
        "#!/bin/sh",
        f"# Makes the .om files of this folder for {soc}. Run it where CANN's toolkit is: sh convert.sh",
        "set -eu",
        'cd "$(dirname "$0")"',
        "if ! command -v atc >/dev/null; then",
        "    echo 'convert.sh: there is no atc here; source set_env.sh of the CANN toolkit first' >&2",
        "    exit 1",
        "fi",
    ]
    for name, words in commands.items():
        lines += ["", f"echo 'converting {name}'", f"rm -f {name}.om", _wrapped(words)]
        lines += [f"test -s {name}.om || {{ echo 'convert.sh: atc wrote no {name}.om' >&2; exit 1; }}"]
    lines += ["", "echo 'done: a board needs the .om and .json files of this folder'"]
    return "\n".join(lines) + "\n"


def _wrapped(words: Sequence[str]) -> str:
    return " \\\n    ".join(map(shlex.quote, words))
