"""The command line: one file a subcommand. The only place that prints or sets an exit code."""
