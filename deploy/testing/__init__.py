"""A devnet as a library of tests: `import faultline`, a pytest plugin, recipes."""
