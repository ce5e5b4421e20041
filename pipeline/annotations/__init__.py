"""What users say of a transcript: names and corrections, and what becomes of them."""
