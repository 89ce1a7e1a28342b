"""One load-generating process: its connections, its pacer, and what it reports. Knows no Locust."""
