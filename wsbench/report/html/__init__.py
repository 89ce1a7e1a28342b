"""report.html: one file that holds a result for a person: in words, tables and figures, without a network."""
