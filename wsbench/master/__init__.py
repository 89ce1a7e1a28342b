"""The master's part of a run: phases, collecting the workers' reports, building the result."""
