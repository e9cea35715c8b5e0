"""The node's own Postgres 数据库: connections, migrations, statements and COPY."""
