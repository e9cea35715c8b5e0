"""The domain of petitions 信访业务: pure functions, no I/O."""
