"""The picture of the rates: what it draws and what it says to those who do not see it."""

from xml.etree import ElementTree

from benchmarks.chart import Bar, Kind, svg

_SVG = "{http://www.w3.org/2000/svg}"
_BARS = [
    Bar("ours", 30_000, Kind.ours, "with <everything> & more"),
    Bar("psql", 60_000, Kind.limit),
    Bar("a peer", 15_000, Kind.peer),
]


def drawn() -> ElementTree.Element:
    return ElementTree.fromstring(svg(_BARS, "Rates & reasons", "measured today"))


def test_bars_are_as_long_as_their_rates_and_coloured_by_whose_they_are() -> None:
    bars = [each for each in drawn().iter(f"{_SVG}rect") if each.get("class") != "page"]
    lengths = [float(each.attrib["width"]) for each in bars]
    assert [each.get("class") for each in bars] == ["ours", "limit", "peer"]
    assert lengths[0] / lengths[1] == 0.5
    assert lengths[2] / lengths[1] == 0.25


def test_every_bar_has_its_name_its_note_and_its_number_as_text() -> None:
    texts = [each.text for each in drawn().iter(f"{_SVG}text")]
    for expected in ("ours", "with <everything> & more", "30,000", "psql", "60,000", "15,000"):
        assert expected in texts


def test_it_is_an_image_with_a_title_and_a_description() -> None:
    picture = drawn()
    ids = {each.get("id"): each.text for each in picture.iter() if each.get("id")}
    assert picture.get("role") == "img"
    assert [ids[name] for name in picture.attrib["aria-labelledby"].split()] == [
        "Rates & reasons",
        "ours: 30,000; psql: 60,000; a peer: 15,000",
    ]


def test_nothing_reaches_beyond_the_picture_or_into_the_network() -> None:
    picture = drawn()
    width = float(picture.attrib["width"])
    for each in picture.iter(f"{_SVG}rect"):
        assert float(each.get("x", 0)) + float(each.attrib["width"]) <= width
    assert "http" not in svg(_BARS, "", "").replace("http://www.w3.org/2000/svg", "")
