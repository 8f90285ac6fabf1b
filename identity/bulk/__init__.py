"""Load many records at once, beside live traffic, to the partition that one by one would give."""
