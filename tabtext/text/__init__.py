"""Text: tokens, vocabularies, recurrent encoders, language models and classifiers over them."""
