"""What evt promises, attacked: each module is one proof, `python -m proofs.NAME`, that prints counts and its seed.

The tests call the same functions with small numbers, `make proofs` and `make nightly` with large ones. Nothing here
is part of what is installed. What ran, and what is not covered: docs/reliability.md.
"""
