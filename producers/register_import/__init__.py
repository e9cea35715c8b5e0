"""Import case registers 登记簿导入 as events."""
