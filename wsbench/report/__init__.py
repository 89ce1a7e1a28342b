"""Reports and files of a result, as bytes. No clock and no network; the caller writes the files."""
