"""Vectors that we publish: Given, When, Then in JSON, checked in beside the scripts that write them."""
