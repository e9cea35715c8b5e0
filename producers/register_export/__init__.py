"""Export of cases 登记簿导出: cases → rows of a register."""
