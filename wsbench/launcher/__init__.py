"""Starting a target and a Locust process, following and stopping it, and reading its result back."""
