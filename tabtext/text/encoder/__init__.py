"""AWD-LSTM: the recurrent encoder, and its dropouts."""
