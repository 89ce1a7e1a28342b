"""The command line: one file per command. A command has its options and prints; others make the runs."""
