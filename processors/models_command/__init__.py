"""`framefuse models list|check|export`: what there is, whether it can be used, and how to make one."""
