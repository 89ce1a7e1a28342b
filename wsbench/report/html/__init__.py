"""report.html: a result as text, tables and plots, in one file that works offline."""
