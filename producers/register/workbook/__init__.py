"""Read XLSX workbooks in a stream and within bounds: package, parts, sheets, number formats.

openpyxl reads them too, but it gives neither the number that a person sees (000123) nor whether a
formula was ever computed, drops rows that are out of order, refuses strict Open XML, and lets a
file of a few kilobytes use any amount of memory and time.
"""
