"""What a record must be 校验: checked as JSON, before it is written, and after it is read."""
