"""Protections of registers: figures and texts that programs have spoilt, files made to be big."""

from protection import Protection

_DIGITS = "tests/unit/test_register_lost_digits.py::"
_BOOKS = "tests/unit/test_register_workbooks.py::"
_LAYOUTS = "tests/unit/test_register_workbook_layouts.py::"
_BOMBS = "tests/unit/test_register_bombs.py::"
_SIGNS = "tests/unit/test_register_characters.py::"
_SPOILT = "tests/integration/test_importing_spoilt.py::"
_EXPENSIVE = _BOMBS + "test_a_sheet_that_is_made_to_be_expensive_is_refused"

REGISTER = (
    Protection(
        "a number that lost its digits is refused 科学计数法",
        "17",
        "producers/register/code_cells.py",
        "    if is_shortened(text):\n",
        "    if False:\n",
        (
            _DIGITS + "test_two_people_whose_numbers_pandas_shortened_do_not_become_one",
            _SPOILT + "test_one_person_is_one_however_the_number_is_kept_text_and_lost_numbers_are_"
            "nobody",
        ),
    ),
    Protection(
        "a number of more than 15 digits was rounded by a program",
        "17",
        "producers/register/code_cells.py",
        '    if len(number.lstrip("+-0")) > EXACT_DIGITS:\n',
        "    if False:\n",
        (
            _DIGITS
            + "test_a_number_that_lost_its_digits_is_refused_in_every_column_of_numbers_and_"
            "codes",
        ),
    ),
    Protection(
        "an identity number that ends in 000 has its right last digit",
        "17",
        "producers/register/code_cells.py",
        "_ROUNDED_IDENTITY.fullmatch(joined) and joined[-1] != _check_digit(joined)",
        "False",
        (_DIGITS + "test_an_identity_number_that_excel_ended_in_zeros_is_refused",),
    ),
    Protection(
        "marks around a code come off 防转换标记",
        "17",
        "producers/register/code_cells.py",
        '    text = bare_code(_INVISIBLE.sub("", bare_code(text)).strip())\n',
        "",
        (_DIGITS + "test_what_was_put_around_an_identity_number_comes_off",),
    ),
    Protection(
        "how a program writes nothing is no value",
        "17",
        "producers/register/code_cells.py",
        "    if text in _NO_VALUE:\n",
        "    if False:\n",
        (_DIGITS + "test_how_a_program_writes_nothing_is_no_value",),
    ),
    Protection(
        "a JSON number that readers round is refused",
        "17",
        "producers/register/jsonl_source.py",
        '_Object(cells, next(problems, ""))',
        "_Object(cells)",
        (_DIGITS + "test_json_numbers_are_never_rounded",),
    ),
    Protection(
        "a formula without its value rejects its row 未计算的公式",
        "17",
        "producers/register/workbook/cell_text.py",
        '    if cell.is_formula and not cell.value and cell.kind != "str":\n',
        "    if False:\n",
        (
            _BOOKS + "test_a_formula_that_was_never_computed_rejects_its_row_and_names_the_cell",
            _SPOILT + "test_rows_of_formulas_without_values_are_in_the_reject_file_with_their_"
            "cells",
        ),
    ),
    Protection(
        "a number counts as the person sees it 以显示为准",
        "17",
        "producers/register/workbook/cell_text.py",
        "shown_as.shown(value) if wanted >= Wanted.AS_SHOWN else plain(value)",
        "plain(value)",
        (
            _DIGITS + "test_the_number_as_the_person_sees_it_is_the_same_in_every_format",
            _SPOILT + "test_one_number_is_one_case_in_csv_and_in_a_workbook",
        ),
    ),
    Protection(
        "no date is a number or a code",
        "17",
        "producers/register/workbook/cell_text.py",
        "    if wanted is Wanted.CODE:\n",
        "    if False:\n",
        (_BOOKS + "test_a_cell_that_lost_its_content_rejects_its_row",),
    ),
    Protection(
        "merged cells have one value and not several 合并单元格",
        "17",
        "producers/register/xlsx_source.py",
        "        problem = problem or self._problem_of(line.number, covered)\n",
        "",
        (_LAYOUTS + "test_merged_cells_reject_the_rows_that_lack_their_own_value",),
    ),
    Protection(
        "a header is the same however it is laid out",
        "17",
        "producers/register/mapping.py",
        "self._by_key.get(header_key(name), name)",
        "name",
        (
            _LAYOUTS + "test_a_header_is_the_same_however_it_is_laid_out",
            _LAYOUTS + "test_headers_that_differ_in_layout_only_are_there_twice",
        ),
    ),
    Protection(
        "characters of GB18030-2022 私用区字符",
        "17",
        "producers/register/private_use.py",
        "text.translate(TABLE) if _FIRST.search(text) else text",
        "text",
        (
            _SIGNS + "test_a_private_use_code_of_gb18030_is_its_character_of_2022",
            _SIGNS + "test_one_name_is_one_name_in_gb18030_and_in_utf8",
        ),
    ),
    Protection(
        "what XML cannot hold is not written into it",
        "17",
        "producers/register/file_writers.py",
        "cell if cell.isprintable() else NO_XML.sub(_REPLACEMENT, cell)",
        "cell",
        (
            _SIGNS + "test_every_character_of_unicode_comes_back_or_is_seen_to_be_missing[.xlsx]",
            _SPOILT + "test_a_text_that_xml_cannot_hold_leaves_an_export_that_is_read_again[.xlsx]",
        ),
    ),
    Protection(
        "a text that looks like an escape of Excel is escaped",
        "17",
        "producers/register/file_writers.py",
        "        cell = escaped(cell)\n",
        "",
        (
            _SIGNS + "test_an_export_is_always_readable_and_says_truly_whether_it_tells_all[.xlsx]",
            _SPOILT + "test_a_text_that_xml_cannot_hold_leaves_an_export_that_is_read_again[.xlsx]",
        ),
    ),
    Protection(
        "a workbook that unpacks to gigabytes is refused early 压缩炸弹",
        "16, 40",
        "producers/register/workbook/package.py",
        "    if total > HARMLESS_BYTES and total > MAX_RATIO * packed:\n",
        "    if False:\n",
        (
            _BOMBS + "test_a_small_workbook_that_unpacks_to_gigabytes_is_refused_before_anything_"
            "is_unpacked",
            _BOMBS + "test_so_is_one_whose_texts_do",
        ),
    ),
    Protection(
        "a tag without end is not looked for again and again",
        "16, 40",
        "producers/register/workbook/xml.py",
        "            if fed - max(0, parser.CurrentByteIndex) > _MAX_TOKEN_BYTES:\n",
        "            if False:\n",
        (_EXPENSIVE + "[-a tag has no end]",),
    ),
    Protection(
        "a workbook declares no entities",
        "16, 40",
        "producers/register/workbook/xml.py",
        "    parser.StartDoctypeDeclHandler = doctype\n",
        "",
        (_EXPENSIVE + "[-a document type]",),
    ),
    Protection(
        "a sheet has no more rows than a sheet can have",
        "16, 40",
        "producers/register/workbook/sheet.py",
        "        if not 0 < self._number <= MAX_ROWS:\n",
        "        if False:\n",
        (_EXPENSIVE,),
    ),
    Protection(
        "a header has no more columns than a register",
        "16, 40",
        "producers/register/source.py",
        "    if columns > MAX_COLUMNS:\n",
        "    if False:\n",
        (_BOMBS + "test_a_header_of_thousands_of_columns_is_refused_in_every_format",),
    ),
)
