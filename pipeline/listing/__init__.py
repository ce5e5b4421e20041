"""All pipelines of a home at a glance, and the index that remembers them."""
