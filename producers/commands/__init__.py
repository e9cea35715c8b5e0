"""Commands 指令: parsed, drafted as events, checked and written."""
