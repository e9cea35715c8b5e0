"""Parse commands 指令, draft their events, check and write them."""
