"""Tells voices apart without a trained model: what it knows of voices it learns from the recording itself."""
