"""Reading and writing case registers 登记簿: a file becomes registrations and rejected rows.

No database and no events here: the import command makes events of what this package gives. In the
order a row meets them: `reading` opens the file (`file_kinds` names what is none), `encoding` and
a `*_source` give raw rows (`workbook/` reads XLSX), `columns` holds them against the `mapping`
(which comes from a `mapping_file`), `rows` converts cells by `values` (`text` with `wrapping` and
`private_use`, `codes`, `instants`) into fields of the schemas (`targets`), `handling` adds what
happened to the case, `rejects` keeps what could not be read. The other way round, `row_writer`
makes `cells` of a case, and a `sinks` file or an empty `template` of them; these two are imported
by name, because what they need of openpyxl takes long to load.
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
