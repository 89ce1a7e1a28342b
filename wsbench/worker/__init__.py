"""A load-generating process: connections, pacer, recorder and reports. It knows nothing of Locust."""
