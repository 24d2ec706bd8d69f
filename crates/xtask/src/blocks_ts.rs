//! Native blocks as classes of TypeScript, from what they declare.

use crate::generate::head;
use millrace_flow::blocks::{Entry, Fallback, Kind, Setting, catalog};
use std::fmt::Write;

const IMPORTS: &str = "
import type { Size } from '../../check.js'
import { NativeBlock } from '../native/native-block.js'
import type { InputPort, OutputPort } from '../block/port.js'
";

pub(crate) fn blocks_ts() -> String {
    let mut out = head("crates/flow: blocks and their settings");
    out.push_str(IMPORTS);
    for entry in catalog() {
        options(&mut out, entry);
        class(&mut out, entry);
    }
    out
}

/// The interface of the settings.
fn options(out: &mut String, Entry { name, settings, .. }: &Entry) {
    if settings.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n/** Settings of {{@link {name}}}. */\nexport interface {name}Options {{");
    for setting in *settings {
        let Setting { name, kind, unit, default, about } = setting;
        let values = match kind {
            // The type says it.
            Kind::Choice(_) | Kind::Flag | Kind::Text => String::new(),
            _ if unit.is_empty() => format!(" {}.", capital(&kind.to_string())),
            _ => format!(" {}, in {unit}.", capital(&kind.to_string())),
        };
        let (mark, default) = match default {
            Fallback::Required => ("", String::new()),
            Fallback::Absent => ("?", String::new()),
            other => ("?", other.value().map_or_else(String::new, |value| format!(" Default: {value}."))),
        };
        let _ = writeln!(out, "  /** {about}{values}{default} */\n  {name}{mark}: {}", type_of(setting));
    }
    out.push_str("}\n");
}

fn type_of(setting: &Setting) -> String {
    match setting.kind {
        _ if is_size(setting) => "Size".to_owned(),
        Kind::Whole { .. } | Kind::Real { .. } => "number".to_owned(),
        Kind::Choice(words) => words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" | "),
        Kind::Text => "string".to_owned(),
        Kind::Flag => "boolean".to_owned(),
    }
}

/// Whether it may be given as text with a unit, too.
pub(crate) fn is_size(setting: &Setting) -> bool {
    setting.unit == "bytes"
}

fn class(out: &mut String, entry: &Entry) {
    let Entry { name, about, settings, .. } = entry;
    let ports = entry.build(&entry.sample()).expect("a block can be built from its own sample").ports();
    let names = |ports: &[millrace_flow::ports::PortSpec]| -> Vec<String> {
        ports.iter().map(|port| port.name.to_string()).collect()
    };
    let (inputs, outputs) = (names(&ports.inputs), names(&ports.outputs));
    // What passes a block through has one type; what a source makes is bytes, and a sink takes all.
    let passes = !inputs.is_empty() && !outputs.is_empty();
    let parameter = if passes { "<T = Uint8Array>" } else { "" };
    let _ = writeln!(out, "\n/** {about} */\nexport class {name}{parameter} extends NativeBlock {{");
    fields(out, &inputs, "Input", if passes { "T" } else { "unknown" });
    fields(out, &outputs, "Output", if passes { "T" } else { "Uint8Array" });
    for (name, when) in entry.optional_outputs {
        let field = format!("readonly {name}: OutputPort<T> | undefined = this.outputAt('{name}')");
        let _ = writeln!(out, "  /** Output `{name}`, with {when}. */\n  {field}");
    }
    if settings.is_empty() {
        let _ = writeln!(out, "\n  constructor() {{\n    super('{name}', {{}}, [])\n  }}\n}}");
        return;
    }
    let required = settings.iter().any(|setting| setting.default == Fallback::Required);
    let default = if required { "" } else { " = {}" };
    let sizes: Vec<_> = settings.iter().filter(|it| is_size(it)).map(|it| format!("'{}'", it.name)).collect();
    let sizes = sizes.join(", ");
    let _ = writeln!(
        out,
        "\n  constructor(options: {name}Options{default}) {{\n    super('{name}', options, [{sizes}])\n  }}\n}}"
    );
}

/// Ports as fields: those called `in0`, `in1`, … are together in `in`.
fn fields(out: &mut String, names: &[String], side: &str, of: &str) {
    let lower = side.to_lowercase();
    let mut done: Vec<&str> = Vec::new();
    for name in names {
        let prefix = name.trim_end_matches(|c: char| c.is_ascii_digit());
        if done.contains(&prefix) {
            continue;
        }
        done.push(prefix);
        let _ = if prefix == name {
            writeln!(
                out,
                "  /** {side} `{name}`. */\n  readonly {name}: {side}Port<{of}> = this.{lower}At('{name}')"
            )
        } else {
            let words = format!("{side}s `{prefix}0`, `{prefix}1`, …");
            let field =
                format!("readonly {prefix}: readonly {side}Port<{of}>[] = this.{lower}sAt('{prefix}')");
            writeln!(out, "  /** {words} */\n  {field}")
        };
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
