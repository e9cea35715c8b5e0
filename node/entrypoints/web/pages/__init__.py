"""The pages 网页: /enquiry for petitioners, /monitor for staff and the centre."""
