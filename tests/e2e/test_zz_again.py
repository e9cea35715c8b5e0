import logging, time, pytest
from support.world import running, rows, eventually
from consumers.loop import Consumer
from node.metrics import Metrics
@pytest.mark.parametrize("n", range(40))
def test_again(empty_topics, fresh_settings, n, caplog):
    logging.getLogger("kafka").setLevel(logging.WARNING)
    for name in ("kafka.coordinator", "kafka.consumer", "kafka.net"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    for name in ("consumers","node"): logging.getLogger(name).setLevel(logging.DEBUG)
    nodes = [fresh_settings(c) for c in ("000000","110000","370000")]
    from contextlib import ExitStack
    t0=time.monotonic()
    with ExitStack() as s:
        for st in nodes:
            m=Metrics(); s.enter_context(running(Consumer(st,m),m))
        eventually(lambda: all(rows(st,"select count(*) from consumer_offset")[0][0] for st in nodes), "assigned", 15)
    print("TOOK", time.monotonic()-t0)
