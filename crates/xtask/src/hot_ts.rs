//! Functions of TypeScript that fill the command block, call a hot operation and read its results.

use crate::generate::head;
use std::fmt::Write;

/// One hot operation.
struct Operation {
    name: &'static str,
    description: &'static str,
    /// Words of the block, and what they are set to: a parameter, or a constant (in capitals).
    arguments: &'static [(&'static str, &'static str)],
}

macro_rules! operations {
    ($($name:ident($($word:literal = $value:ident),*): $description:literal;)*) => {
        const OPERATIONS: &[Operation] = &[$(Operation {
            name: stringify!($name),
            description: $description,
            arguments: &[$(($word, stringify!($value))),*],
        }),*];
    };
}

include!("../../node/src/hot/operations.rs");

/// A result: function, the expression it returns, description. `index` in the expression is a parameter.
const RESULTS: [(&str, &str, &str); 16] = [
    ("resultCount", "COUNT", "Number of results of the last operation."),
    ("deliveredCount", "DELIVERED", "How many messages the last {@link publish} put into queues."),
    ("droppedCount", "DROPPED", "How many it did not, by the policies of their subscribers."),
    ("news", "NEWS", "What was new at the last {@link ready}: bits, `NEWS_…`."),
    ("remaps", "REMAPS", "Changes when segments may have been replaced by others, as of the last operation."),
    ("claimOutcome", "CLAIM", "How the last {@link claim} ended: one of the `CLAIM_…` constants."),
    (
        "requestWord",
        "word",
        "One word of the state that {@link claim}, {@link cancel} and {@link inspect} leave: RUNS, CANCELLED, RUNNER or RUNNER_EPOCH.",
    ),
    ("idAt", "DESCRIPTORS + index * DESCRIPTOR_WORDS + ID", "Buffer id of result `index`."),
    (
        "gapAt",
        "DESCRIPTORS + index * DESCRIPTOR_WORDS + GAP",
        "Messages dropped on the queue just before result `index`.",
    ),
    (
        "leaseAt",
        "DESCRIPTORS + index * DESCRIPTOR_WORDS + LEASE",
        "Lease of result `index`: how it is held. Goes with its id wherever that goes.",
    ),
    (
        "attemptAt",
        "DESCRIPTORS + index * DESCRIPTOR_WORDS + ATTEMPT",
        "Delivery attempt of result `index`; 1 is the first.",
    ),
    (
        "readyQueue",
        "READY + index * READY_WORDS + READY_QUEUE",
        "Queue handle of result `index` of {@link ready}.",
    ),
    (
        "readyKind",
        "READY + index * READY_WORDS + READY_KIND",
        "What may be ready there: one of the `KIND_…` constants.",
    ),
    ("lengthAt", "LENGTHS + index", "Bytes of message `index` on the {@link stage}."),
    (
        "setLength",
        "LENGTHS + index = bytes",
        "Says that message `index` on the {@link stage} has `bytes` bytes.",
    ),
    (
        "setId",
        "DESCRIPTORS + index * DESCRIPTOR_WORDS + ID = id; DESCRIPTORS + index * DESCRIPTOR_WORDS + LEASE = lease",
        "Names buffer `id`, under `lease`, as argument `index` of the next operation.",
    ),
];

/// `lib/native/generated/hot.ts`.
pub(crate) fn hot_ts() -> String {
    let body = body();
    let mut out = head("crates/node: the hot operations");
    let code = body.lines().filter(|line| !line.starts_with("/**"));
    let mut words: Vec<_> =
        code.flat_map(|line| line.split(|c: char| !(c.is_ascii_uppercase() || c == '_'))).collect();
    let block = crate::generate::block_ts();
    words.retain(|word| block.contains(&format!("export const {word} =")));
    words.sort_unstable();
    words.dedup();
    let _ = write!(
        out,
        "\nimport binding from '#native'\nimport {{\n  {},\n}} from './block.js'\n",
        words.join(",\n  ")
    );
    out.push_str(&body);
    out
}

fn body() -> String {
    let names: Vec<_> = OPERATIONS.iter().map(|operation| format!("'{}'", operation.name)).collect();
    let mut out = format!(
        "\n/** How a hot operation ended: one of the `STATUS_…` constants. */\nexport type Status = number\n\n\
         const memory = binding.commandBlock()\nconst block = new Uint32Array(memory, 0, WORDS)\n\
         const call = binding.hotOperations() as Record<\n  {},\n  () => void\n>\n\n\
         /** Small messages on their way in and out, one after the other; {{@link lengthAt}} says how long each is. */\n\
         export const stage = new Uint8Array(memory, WORDS * Uint32Array.BYTES_PER_ELEMENT, STAGE_BYTES)\n",
        names.join(" | ")
    );
    for operation in OPERATIONS {
        out.push_str(&function_of(operation));
    }
    for (name, expression, description) in RESULTS {
        out.push_str(&accessor(name, expression, description));
    }
    out
}

fn function_of(Operation { name, description, arguments }: &Operation) -> String {
    let is_parameter = |value: &&str| value.starts_with(|c: char| c.is_ascii_lowercase());
    let parameters: String = arguments.iter().map(|(_, value)| *value).filter(is_parameter).fold(
        String::new(),
        |mut list, value| {
            let _ = write!(list, ", {value}: number");
            list
        },
    );
    let mut out =
        format!("\n/** {description} */\nexport function {name}(manager: number{parameters}): Status {{\n");
    for (word, value) in [("MANAGER", "manager")].iter().chain(*arguments) {
        let _ = writeln!(out, "  block[{word}] = {value}");
    }
    let _ = write!(out, "  call.{name}()\n  return block[STATUS]!\n}}\n");
    out
}

fn accessor(name: &str, expression: &str, description: &str) -> String {
    let mut parameters = Vec::new();
    for parameter in ["index", "word", "id", "bytes", "lease"] {
        if expression.split(|c: char| !c.is_ascii_alphabetic()).any(|word| word == parameter) {
            parameters.push(format!("{parameter}: number"));
        }
    }
    let body: Vec<_> = expression
        .split("; ")
        .map(|part| match part.split_once(" = ") {
            Some((word, value)) => format!("  block[{word}] = {value}"),
            None => format!("  return block[{part}]!"),
        })
        .collect();
    let result = if expression.contains(" = ") { "void" } else { "number" };
    let (parameters, body) = (parameters.join(", "), body.join("\n"));
    format!("\n/** {description} */\nexport function {name}({parameters}): {result} {{\n{body}\n}}\n")
}
