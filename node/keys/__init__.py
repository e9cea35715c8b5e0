"""Keys 密钥 of a node, and the office that acts with them."""
