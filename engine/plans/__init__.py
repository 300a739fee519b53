"""Plans as users write them: TOML to the records that the kernel evaluates, and back to words."""
