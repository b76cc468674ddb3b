"""What watches a devnet: where Prometheus finds the processes, what it computes and warns of, and what Grafana draws."""
