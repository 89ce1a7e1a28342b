"""Starts a target and a Locust process, follows and stops them, and reads the result back."""
