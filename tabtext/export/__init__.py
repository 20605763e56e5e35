"""Fitted models as ONNX programs, with what a server needs beside them; no tabtext, no torch.

    directory/
      model.onnx          encoded rows in, probabilities or quantities out
      preprocessor.json   how rows are encoded, and what the outputs mean
      tokenizer/          of models of texts: how tokens are cut, and the vocabulary

``description`` says what stands in ``preprocessor.json``; ``examples/serve_onnx.py`` reads it.
"""
