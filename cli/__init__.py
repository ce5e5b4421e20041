"""The command line: settings, wiring, rendering; one small file per command."""
