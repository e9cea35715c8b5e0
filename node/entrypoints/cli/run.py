"""`petitionlink run`, `relay`, `consume`, `serve`: the long-lived processes of a node."""

import logging
import socket
import sys
from collections.abc import Callable, Sequence

import typer

from consumers.consumer import Consumer
from consumers.group_membership import instance_of
from node.entrypoints.cli.node_settings import NodeOption, settings_for
from node.entrypoints.cli.output import say
from node.entrypoints.cli.terminal import SafeFormatter
from node.queries.database_gauges import Observer
from node.reconcile.worker import Reconciler
from node.runtime.memory import collect_seldom
from node.runtime.metrics import Metrics
from node.runtime.metrics_server import metrics_served
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop, Worker, signals_stop, supervise
from node.scrub.worker import Scrubber
from producers.relay.relay import Relay
from producers.routines import routines

Make = Callable[[Settings, Metrics], Sequence[Worker]]

# Several threads share the process: a short switch interval lets the others answer sooner.
_SWITCH_SECONDS = 0.0005

app = typer.Typer()


@app.command("run")
def run_command(node: NodeOption = None) -> None:
    """Run relay, consumer, web, scrub, routines and metrics of a node in one process 节点运行.

    It stops cleanly on SIGTERM, and keeps running while Kafka or Postgres is away.
    """
    run_workers(
        node,
        lambda s, m: [
            *(Relay(s, m), _consumer(s, m), _web_server(s, m), Observer(s, m), Reconciler(s, m)),
            Scrubber(s, m),
            *routines(s),
        ],
    )


@app.command("relay")
def relay_command(node: NodeOption = None) -> None:
    """Run the relay alone 中继: outbox → Kafka."""
    run_workers(node, lambda s, m: [Relay(s, m), Observer(s, m)])


@app.command("consume")
def consume_command(node: NodeOption = None) -> None:
    """Run the consumer alone 接收: Kafka → Postgres. Start several to share the partitions."""
    run_workers(
        node,
        lambda s, m: [_consumer(s, m), Observer(s, m), Reconciler(s, m), Scrubber(s, m)],
    )


@app.command("serve")
def serve_command(node: NodeOption = None) -> None:
    """Run the web service alone 网络服务: the API under /v1, /enquiry and /monitor.

    To run several with a balancer, give each its own PETITIONLINK_HTTP_PORT.
    """
    run_workers(node, lambda s, m: [_web_server(s, m), Observer(s, m)])


def _consumer(settings: Settings, metrics: Metrics) -> Consumer:
    instance = instance_of(settings.node, socket.gethostname(), settings.metrics_port)
    return Consumer(settings, metrics, instance=instance)


def _web_server(settings: Settings, metrics: Metrics) -> Worker:
    # Imported here, because the other commands start faster without it.
    from node.entrypoints.web.server import WebServer

    say(f"web on http://{settings.http_address}:{settings.http_port}/monitor")
    return WebServer(settings, metrics)


def run_workers(node: str | None, make: Make) -> None:
    """Run the workers that `make` returns until SIGTERM."""
    settings = settings_for(node)
    _log_to_stderr(settings.log_level)
    sys.setswitchinterval(_SWITCH_SECONDS)
    collect_seldom()
    metrics = Metrics()
    metrics.about(settings.node)
    stop = Stop()
    with metrics_served(settings, metrics), signals_stop(stop):
        where = f"{settings.metrics_address}:{settings.metrics_port}"
        say(f"node {settings.node} runs; metrics on http://{where}/metrics")
        supervise(make(settings, metrics), metrics, stop)
    say(f"node {settings.node} stopped")


def _log_to_stderr(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    form = "%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s"
    handler.setFormatter(SafeFormatter(form))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    if level == "debug":
        # What `node.kafka.clients` silences: each connection of the library, and why it was lost.
        logging.getLogger("kafka").setLevel(logging.INFO)
