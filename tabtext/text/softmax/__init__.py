"""Losses over large vocabularies that never hold all logits."""
