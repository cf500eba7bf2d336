"""Faults of what is not ours: the payment provider and the mail server."""

import time

from .bench import WELL, kind


def provider_knobs(bench, fault, **knobs):
    bench.provider(**knobs)
    try:
        time.sleep(fault.seconds)
    finally:
        bench.provider(**WELL)


@kind(("provider",), (3, 6))
def provider_slow(bench, fault):
    provider_knobs(bench, fault, latency_ms=700)


@kind(("provider",), (2, 5))
def provider_refuses(bench, fault):
    provider_knobs(bench, fault, down=True)


@kind(("provider",), (3, 6))
def provider_answers_lost(bench, fault):
    """It charges, and answers when nobody listens any more."""
    provider_knobs(bench, fault, latency_ms=3000)


def mail_behaves(bench, fault, behaviour):
    bench.mails(behaviour)
    try:
        time.sleep(fault.seconds)
    finally:
        bench.mails("accept")


@kind(("mails",), (2, 6))
def mail_refused(bench, fault):
    mail_behaves(bench, fault, "refuse")


@kind(("mails",), (2, 8))
def mail_stalls(bench, fault):
    mail_behaves(bench, fault, "stall 7")


@kind(("mails",), (2, 6))
def mail_hangs_up_before_250(bench, fault):
    mail_behaves(bench, fault, "hang-up-before-250")


@kind(("mails",), (2, 6))
def mail_hangs_up_after_250(bench, fault):
    mail_behaves(bench, fault, "hang-up-after-250")
