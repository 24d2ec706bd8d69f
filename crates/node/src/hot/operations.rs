// The hot operations: what JavaScript calls each, the words that its arguments go into, each with a parameter or a constant (in capitals), and
// what it does. For a macro `operations!`: that of `hot` makes the callbacks of it, that of crates/xtask the functions of TypeScript.

operations! {
    allocate("COUNT" = count, "BYTES" = bytes):
        "Allocates up to `count` buffers of `bytes`; their ids are the results.";
    send("QUEUE" = queue, "COUNT" = count):
        "Sends the first `count` ids set by {@link setId}; the result count is how many were accepted.";
    put("QUEUE" = queue, "COUNT" = count):
        "Copies the first `count` messages on the {@link stage} into the queue; the result count is how many were accepted.";
    get("QUEUE" = queue, "COUNT" = max):
        "Takes up to `max` messages and leaves copies on the {@link stage}. `STATUS_TOO_LARGE`: the next one does not fit there, or is to be acknowledged, so {@link receive} it.";
    publish("QUEUE" = topic, "COUNT" = count):
        "Publishes the first `count` ids set by {@link setId}; the result count is how many were accepted. `STATUS_FULL`: everybody has the next one but those that `takeBlocked` names.";
    receive("QUEUE" = queue, "COUNT" = max):
        "Takes up to `max` messages; the results describe them.";
    next("QUEUE" = queue, "DESCRIPTORS + ID" = id, "DESCRIPTORS + LEASE" = RECEIVED):
        "Gives back message `id`, which is not to be acknowledged, and takes the next one: two crossings in one.";
    release("COUNT" = count):
        "Gives back the first `count` references set by {@link setId}; leased ones are acknowledged.";
    nack("COUNT" = count):
        "Returns the first `count` leased messages set by {@link setId} to their queues, which deliver them again.";
    share("COUNT" = count):
        "Adds a reference to each of the first `count` ids set by {@link setId}.";
    peek("QUEUE" = queue):
        "Describes the next message without taking it, and adds a reference to its buffer.";
    arm("QUEUE" = queue, "KIND" = kind, "BYTES" = bytes):
        "Asks for a wake when `queue` has data or space (or the pool has `bytes`). `STATUS_OK`: it has now, try again.";
    disarm("QUEUE" = queue, "KIND" = kind):
        "Nobody here waits for that any more.";
    ready():
        "After a wake: which waits may be over, see {@link readyQueue} and {@link readyKind}.";
    claim("RUNS_MAX" = runsMax):
        "Begins a run of the request set by {@link setId}, which may be run `runsMax` times; {@link claimOutcome} says how that ended.";
    cancel():
        "Says that nobody wants the request set by {@link setId} any more, and leaves the state it was in, see {@link requestWord}.";
    inspect():
        "Leaves the state of the request set by {@link setId}, see {@link requestWord}.";
}
