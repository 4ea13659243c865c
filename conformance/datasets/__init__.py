"""What a run does and requests: dimension tables, covering arrays, stages and the plan."""
