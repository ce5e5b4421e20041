"""Where a value comes from when it isn't given: flags, environment, files, profiles; and what it may be."""
