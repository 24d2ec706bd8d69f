"""Sends arrays of bytes for a time, as fast as it can or at a pace, each with its time; one without a time is the last."""

import json
import os
import time

import numpy
import pyarrow
from dora import Node

job = json.loads(os.environ["BENCH_JOB"])
node = Node()
payload = numpy.zeros(job["bytes"], dtype=numpy.uint8)
gap = job["gapMs"] / 1e3
# The receiver is there, and has asked for what is to come.
time.sleep(1)
# Longer than is counted: the receiver may be seconds late at first.
end = time.monotonic() + (job["warmupMs"] + job["timedMs"] + 3000) / 1e3
number = 0
while time.monotonic() < end:
    # Written anew each.
    payload[:] = number & 255
    node.send_output("data", pyarrow.array(payload), {"at": time.monotonic_ns()})
    number += 1
    if gap > 0:
        time.sleep(gap)
# As large as the others: small ones go another way, and overtake.
node.send_output("data", pyarrow.array(payload), {"at": 0})
