"""Reading and writing case registers 登记簿: a file becomes registrations and rejected rows.

No database and no events here: the import command makes events of what this package gives. In
the order a row meets them: `reading` opens the file, `encoding` and a `*_source` give raw rows,
`columns` holds them against the `mapping` (which comes from a `mapping_file`), `rows` converts
cells by `values` (`text`, `instants`) into fields of the schemas (`targets`), `handling` adds what
happened to the case, `rejects` keeps what could not be read. The other way round, `row_writer`
makes `cells` of a case, and a `sinks` file or an empty `template` of them.
"""

from producers.register.errors import RegisterError
from producers.register.mapping import Mapping
from producers.register.mapping_file import load_mapping, shipped_names
from producers.register.reading import RegisterRows, read_register
from producers.register.records import Registration, Rejected
from producers.register.rejects import RejectWriter, reject_path
from producers.register.sinks import new_register
from producers.register.template import write_template

__all__ = [
    "Mapping",
    "RegisterError",
    "RegisterRows",
    "Registration",
    "RejectWriter",
    "Rejected",
    "load_mapping",
    "new_register",
    "read_register",
    "reject_path",
    "shipped_names",
    "write_template",
]
