"""The commands of `faultline`, a few to a module; each module names its own in COMMANDS."""
