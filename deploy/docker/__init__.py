"""A devnet in containers: the image, what is prepared before the processes start, and how they say that they are well."""
