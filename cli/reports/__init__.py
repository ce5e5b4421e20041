"""What commands found, in words and tables for people, and as values for programs."""
