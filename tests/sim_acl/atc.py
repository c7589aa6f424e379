"""Stands in for CANN's `atc`: makes a simulated `.om` of the ONNX file that it is given. Knows of the options what it needs.

It computes in half precision, as `atc` does by default, unless the environment variable SIM_ATC_EXACT is set.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sim_acl.om import make_om

from poselift.models.backends.om_card import card_path


def main(arguments: list[str]) -> None:
    """Do as the command line says; the card beside the file is not atc's to write, and stays as it is."""
    options = dict(argument.lstrip("-").split("=", 1) for argument in arguments)
    om = Path(options["output"] + ".om")
    card = card_path(om).read_bytes()
    make_om(Path(options["model"]), om, soc=options["soc_version"], half="SIM_ATC_EXACT" not in os.environ)
    card_path(om).write_bytes(card)


if __name__ == "__main__":
    main(sys.argv[1:])
