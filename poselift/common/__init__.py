"""What app, workers and models all speak of: the joints, sizes of pictures, errors, whole files. Imports none of them."""
