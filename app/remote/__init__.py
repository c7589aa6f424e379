"""The pipeline seen from another machine: `serve` on the board, a viewer or a program elsewhere, one TCP port between them."""
