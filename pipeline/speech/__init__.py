"""Pure values and rules about who said what when. No I/O."""
