"""Figures 指标: indicators, what rises, and the facts of the interconnect."""
