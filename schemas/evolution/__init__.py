"""How schemas may change 架构演进: released ones stay, versions can read each other."""
