"""What a run is shown as: statistics, costs, and the one-file HTML report."""
