"""The evolution of schemas 架构演进: released ones stay, and versions can read each other."""
