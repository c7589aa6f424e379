"""poselift: live 3D human pose. The public face for programs."""
