"""Import of case registers 登记簿导入: rows → events."""
