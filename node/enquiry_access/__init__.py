"""Access to the enquiry page 查询凭证: query codes, and a limit of wrong attempts."""
