"""How a process is put together, what it answers, and how it ends."""
