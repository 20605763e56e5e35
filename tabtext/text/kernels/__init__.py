"""The numba loops over text; each module says what its loop means in plain Python."""
