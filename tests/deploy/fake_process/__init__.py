"""A process program for tests of the supervisor: it says that it runs, and ends as it is told."""
