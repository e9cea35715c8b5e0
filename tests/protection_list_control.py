"""Protections of topics that go, of control messages, of clocks and of names in the group."""

from protection import Protection

_STOPPED = "tests/integration/test_stopped_partitions.py::"
_STOPPED_DESTINATIONS = "tests/integration/test_stopped_destinations.py::"
_DENIED = "tests/integration/test_denied_topic.py::"
_MESSAGES = "tests/integration/test_control_messages.py::"
_CLOCK = "tests/integration/test_clock_skew.py::"
_IDENTITY = "tests/integration/test_consumer_identity.py::"

CONTROL = (
    Protection(
        "one topic that cannot be read stops alone 停止的分区",
        "31",
        "consumers/group_membership.py",
        "paused = self.stopped.keys() - self._on_trial",
        "paused = held if self.stopped else set[TopicPartition]()",
        (
            _STOPPED + "test_a_truncated_topic_stops_alone_and_its_position_stays_until_somebody_"
            "recovers",
            _STOPPED + "test_a_deleted_topic_stops_alone_is_named_and_flows_again_once_it_is_made_"
            "and_recovered",
        ),
    ),
    Protection(
        "a stopped partition is looked at again 自动恢复",
        "31",
        "consumers/stopped_partitions.py",
        "return bool(self._reported) and time.monotonic() >= self._due",
        "return False",
        (
            _STOPPED + "test_a_truncated_topic_stops_alone_and_its_position_stays_until_somebody_"
            "recovers",
        ),
    ),
    Protection(
        "a topic that may not be read stops alone 无读取权限",
        "31",
        "consumers/session.py",
        "self._assignment.stop(stopped_partitions.not_authorized(held, error))",
        "raise error",
        (
            _DENIED + "test_a_topic_that_may_not_be_read_stops_alone_is_named_and_flows_again_"
            "once_it_may",
        ),
    ),
    Protection(
        "status and lags are told though one topic may not be read",
        "31",
        "consumers/partition_status.py",
        "client.pause(*(stopped.partition for stopped in refused))",
        "raise",
        (
            _DENIED + "test_a_topic_that_may_not_be_read_stops_alone_is_named_and_flows_again_"
            "once_it_may",
        ),
    ),
    Protection(
        "a partition is stopped since its reason began, whatever its detail says",
        "31",
        "consumers/stopped_partitions.py",
        "then stopped_partition.since else now() end",
        "then now() else now() end",
        (
            _STOPPED + "test_a_partition_has_been_stopped_since_its_reason_began_whatever_its_"
            "detail_says",
        ),
    ),
    Protection(
        "poison on one topic stops that topic only",
        "21, 31",
        "consumers/session.py",
        "self._assignment.stop([error.stopped])",
        "raise error",
        (
            _STOPPED + "test_a_topic_of_poison_stops_alone_and_flows_again_when_its_letters_are_"
            "dealt_with",
        ),
    ),
    Protection(
        "a destination that is gone is left out by the relay",
        "31",
        "producers/relay/publisher.py",
        "gone = topics - self._existing(topics)",
        "gone = set[str]()",
        (_STOPPED_DESTINATIONS + "test_a_destination_whose_topic_is_deleted_holds_up_no_other",),
    ),
    Protection(
        "a peer whose control topic is gone is left out of the proof",
        "31",
        "node/reconcile/control_channel.py",
        "if not self._is_refused(topic, error):",
        "if topic:",
        (
            _STOPPED_DESTINATIONS
            + "test_a_control_topic_that_is_deleted_leaves_its_peer_out_and_no_other",
        ),
    ),
    Protection(
        "control messages are bounded 控制消息上限",
        "32",
        "node/reconcile/protocol.py",
        "Count = Annotated[int, Field(ge=0, le=_MOST_FIGURE)]",
        "Count = Annotated[int, Field(ge=0)]",
        (
            _MESSAGES
            + "test_each_message_out_of_bounds_is_dropped_and_counted_and_the_next_one_is_read",
        ),
    ),
    Protection(
        "what the database refuses of a control message drops that message",
        "32",
        "node/reconcile/message_intake.py",
        "if not _is_about_the_message(error):",
        "if error:",
        (_MESSAGES + "test_what_the_database_refuses_of_a_message_drops_it_and_no_more",),
    ),
    Protection(
        "a refusal of control messages is logged once",
        "32",
        "node/reconcile/message_intake.py",
        "if key not in self._told:",
        "if key:",
        (
            _MESSAGES + "test_each_message_out_of_bounds_is_dropped_and_counted_and_the_next_one_"
            "is_read",
        ),
    ),
    Protection(
        "the clock is compared with the broker's 时钟偏差",
        "34",
        "node/reconcile/worker.py",
        "clock_skew.note(cursor, ahead, self._clock())",
        "pass",
        (
            _CLOCK + "test_a_clock_that_is_wrong_is_measured_against_the_brokers_and_said_as_what_"
            "it_is",
        ),
    ),
    Protection(
        "no command is dated by a wrong clock",
        "34",
        "producers/commands/handle.py",
        "    office.check_clock(cursor)\n",
        "",
        (
            _CLOCK + "test_a_command_is_refused_while_the_clock_is_wrong_and_taken_once_it_is_set",
            _CLOCK + "test_the_machine_of_node_and_database_is_wrong_then_cli_and_web_refuse_in_"
            "one_line",
        ),
    ),
    Protection(
        "routines do nothing by a wrong clock",
        "34",
        "producers/routines/routine.py",
        "if self._may_act(connection, office):",
        "if self._may_act(connection, office) or True:",
        (_CLOCK + "test_routines_wait_while_the_clock_is_wrong_or_in_doubt_and_act_again_after",),
    ),
    Protection(
        "implausible dates are marked on receipt 时间存疑",
        "34",
        "consumers/apply_batch.py",
        "implausible_dates.keep(cursor, doubts)",
        "pass",
        (
            _CLOCK + "test_dates_of_2028_and_2038_and_1900_are_marked_on_receipt_and_the_events_"
            "applied",
        ),
    ),
    Protection(
        "a refused time is said as what it is",
        "34",
        "node/runtime/errors.py",
        'if name == "InvalidTimestampError":',
        'if name == "":',
        (
            _CLOCK + "test_a_relay_whose_clock_is_hours_ahead_says_so_keeps_the_outbox_and_drains_"
            "it_after",
        ),
    ),
    Protection(
        "a consumer whose name was taken goes on under another",
        "39",
        "consumers/consumer.py",
        "self._instance = renamed(self._instance)",
        "raise",
        (_IDENTITY + "test_two_consumers_of_one_name_share_the_partitions_and_one_says_so_once",),
    ),
    Protection(
        "the name of a consumer has the boot of its kernel in it",
        "39",
        "consumers/group_membership.py",
        'return f"{node}-{plain_host}-{port}-{boot}"',
        'return f"{node}-{plain_host}-{port}"',
        (
            _IDENTITY + "test_clones_of_one_disk_have_names_of_their_own_because_each_was_booted_"
            "by_itself",
        ),
    ),
    Protection(
        "what a deleted topic held is published again 主题重建后补发",
        "31",
        "producers/relay/recreated_topics.py",
        "where p.topic = seen.topic and p.topic_id <> seen.topic_id returning p.topic",
        "where p.topic = seen.topic and false returning p.topic",
        (
            "tests/integration/test_recreated_topics.py::"
            "test_only_what_the_receiver_has_not_confirmed_is_published_again_and_counted_once",
            "tests/integration/test_recreated_topics.py::"
            "test_a_running_relay_notices_that_its_topic_was_made_again",
        ),
    ),
    Protection(
        "a running relay notices a topic that was made again",
        "31",
        "producers/relay/relay.py",
        "                recreated_topics.check_same(ids, publisher.topic_ids(ids))\n",
        "",
        (
            "tests/integration/test_recreated_topics.py::"
            "test_a_running_relay_notices_that_its_topic_was_made_again",
        ),
    ),
)
