"""Invented prose 虚构文本: seeded, of any length, and no easier to compress than real letters."""

from random import Random

_SUBJECTS = (
    "物业公司 施工单位 用人单位 小区业主 供热企业 村民小组 "
    "街道办事处 承包商 学校 医院 合作社 工程队"
)
_MATTERS = (
    "工资 停车费 供暖 噪音 道路 补偿款 养老金 房产证 水电费 绿化 电梯 垃圾清运 公交线路 入学名额 "
    "医疗报销 土地承包 排水 路灯 违章建筑 扬尘 押金 合同 征收 低保"
)
_DEEDS = (
    "拖欠 停止办理 拒绝答复 重复收取 未按规定公示 擅自变更 长期占用 推迟解决 承诺整改 要求说明 "
    "申请核实 提出异议 多次反映 依法处理 已经核查 予以支持 限期改正 转交办理"
)
_TIMES = "去年三月 今年五月 上周 连续两年 自2019年起 节后 入冬以来 近日 至今 去年年底 多年来 汛期"
_JOINS = "，并且 ，但 ，因此 ，同时 ，而 ，后来 。为此 。目前 ，据称 。经查，"
# Long enough that slices of it rarely repeat within one compressed batch.
_CORPUS_CHARACTERS = 400_000


class Texts:
    """Slices of one long seeded text."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._corpus = _corpus(self._random)

    def prose(self, characters: int) -> str:
        """So many characters, give or take a quarter."""
        length = characters + self._random.randint(-(characters // 4), characters // 4)
        start = self._random.randrange(len(self._corpus) - length)
        return self._corpus[start : start + length]

    def digits(self, count: int) -> str:
        """Return a number of at most `count` digits."""
        return str(self._random.randrange(10 ** (count - 1), 10**count))


def _corpus(random: Random) -> str:
    words = [text.split() for text in (_TIMES, _SUBJECTS, _DEEDS, _MATTERS, _JOINS)]
    parts: list[str] = []
    length = 0
    while length < _CORPUS_CHARACTERS:
        part = "".join(map(random.choice, words)) + str(random.randrange(10_000))
        parts.append(part)
        length += len(part)
    return "".join(parts)
