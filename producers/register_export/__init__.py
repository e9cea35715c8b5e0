"""Export cases 登记簿导出 as rows of a register."""
