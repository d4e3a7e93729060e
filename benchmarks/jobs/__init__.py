"""One module a job; each has ``run(options) -> Report``, and ``cases(options)`` if it is timed."""
