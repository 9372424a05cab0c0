"""Images to compare networks on: where they come from, how they are split, and the cache that decodes them once."""
