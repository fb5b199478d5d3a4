"""A request in, a sealed cache out: planned, paired, framed in shards by many workers, resumed."""
