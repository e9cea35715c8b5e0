import time
from contextlib import ExitStack
from consumers.loop import Consumer
from node.metrics import Metrics
from support.world import running, rows

def test_many(empty_topics, fresh_settings, monkeypatch):
    monkeypatch.setattr("consumers.loop._POLL_MS", 3)
    stuck=0
    for i in range(4):
        ss=[fresh_settings(n) for n in ("000000","110000","370000")]
        with ExitStack() as st:
            for s in ss:
                m=Metrics(); st.enter_context(running(Consumer(s,m),m))
            for s in ss:
                t=time.time()
                while time.time()-t<8:
                    if rows(s,"select count(*) from consumer_offset")[0][0]>0: break
                    time.sleep(0.05)
                else:
                    stuck+=1; print("stuck", i, s.node)
    print("STUCK",stuck)
    assert stuck==0
