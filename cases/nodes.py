"""This module lists the nodes 节点: the national centre and its 32 provincial petition offices.

Codes are GB/T 2260 except two conventions of our own: national `000000` and corps `660000`
(an assumption, shown as one). The corps lies inside 65xxxx, so the area code of a matter never
decides the node.
"""

from typing import NamedTuple

from cases.errors import UnknownNode


class Node(NamedTuple):
    """A petition office that takes part: its six-digit code and its names."""

    code: str
    chinese: str
    english: str


NATIONAL = "000000"

_TABLE = """
000000 国家信访局 National
110000 北京市 Beijing
120000 天津市 Tianjin
130000 河北省 Hebei
140000 山西省 Shanxi
150000 内蒙古自治区 Inner Mongolia
210000 辽宁省 Liaoning
220000 吉林省 Jilin
230000 黑龙江省 Heilongjiang
310000 上海市 Shanghai
320000 江苏省 Jiangsu
330000 浙江省 Zhejiang
340000 安徽省 Anhui
350000 福建省 Fujian
360000 江西省 Jiangxi
370000 山东省 Shandong
410000 河南省 Henan
420000 湖北省 Hubei
430000 湖南省 Hunan
440000 广东省 Guangdong
450000 广西壮族自治区 Guangxi
460000 海南省 Hainan
500000 重庆市 Chongqing
510000 四川省 Sichuan
520000 贵州省 Guizhou
530000 云南省 Yunnan
540000 西藏自治区 Tibet
610000 陕西省 Shaanxi
620000 甘肃省 Gansu
630000 青海省 Qinghai
640000 宁夏回族自治区 Ningxia
650000 新疆维吾尔自治区 Xinjiang
660000 新疆生产建设兵团 Xinjiang Corps
"""

NODES: dict[str, Node] = {
    node.code: node
    for node in (Node(*line.split(maxsplit=2)) for line in _TABLE.strip().splitlines())
}
PROVINCES: tuple[str, ...] = tuple(code for code in NODES if code != NATIONAL)


def known_node(code: str) -> Node:
    """Return the node with this code; raise `UnknownNode` if there is none."""
    try:
        return NODES[code]
    except KeyError:
        raise UnknownNode(code) from None
