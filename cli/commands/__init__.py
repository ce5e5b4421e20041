"""One file per command; `cli.main` imports a command when it is called."""
