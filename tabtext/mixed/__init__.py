"""Tables that hold texts: their rows, and the network that joins what both kinds of columns say."""
