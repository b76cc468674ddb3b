"""The dashboards, a page each."""
