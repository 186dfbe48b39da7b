"""Scripts that a measurement starts as processes of their own, because what they compare cannot share one."""
