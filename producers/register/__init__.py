"""Read and write case registers 登记簿: a file becomes registrations and rejected rows.

This package uses no database and makes no events. In the order in which a row meets them: `reader`
opens the file (`file_kinds` names files that are no register), `text_encoding` and a `*_source`
give raw rows (`workbook/` reads XLSX), `column_check` compares them with the `mapping` (read by
`mapping_file`), `row_reader` converts cells by `cell_values` (`clean_text`, `code_cells`, `dates`)
into fields of the schemas (`targets`), `row_commands` adds what happened to the case, `reject_file`
keeps the rows that could not be read. In the other direction `row_writer` makes cells
(`cell_format`) of a case, and `file_writers` or `template` write the file; import these two by
name, because openpyxl loads slowly.
"""

from producers.register.errors import RegisterError
from producers.register.mapping import Mapping
from producers.register.mapping_file import load_mapping, shipped_names
from producers.register.reader import RegisterRows, read_register
from producers.register.records import Registration, Rejected
from producers.register.reject_file import RejectWriter, reject_path

__all__ = [
    "Mapping",
    "RegisterError",
    "RegisterRows",
    "Registration",
    "RejectWriter",
    "Rejected",
    "load_mapping",
    "read_register",
    "reject_path",
    "shipped_names",
]
