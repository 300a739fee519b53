"""What drives the fold: compose, feed, record, verify, measure."""
