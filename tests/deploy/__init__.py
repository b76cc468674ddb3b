"""Tests of the command line, the manifest, genesis and the supervisor."""
