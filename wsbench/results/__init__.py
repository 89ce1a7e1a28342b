"""Documents on disk: the models, the directories they lie in, atomic writes, strict reading."""
