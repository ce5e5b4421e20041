"""From what a stage asks to an answer that is stored: announced, waited for, paid once."""
