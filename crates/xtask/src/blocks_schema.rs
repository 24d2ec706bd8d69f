//! Settings of native blocks as JSON Schema, from what they declare.

use crate::blocks_ts::is_size;
use millrace_flow::blocks::{Entry, Fallback, Kind, Setting, Value, catalog};
use serde_json::{Map, Value as Json, json};

/// An object of schemas, one a block, of its settings.
pub(crate) fn blocks_schema() -> String {
    let blocks: Map<_, _> = catalog().iter().map(|entry| (entry.name.to_owned(), settings(entry))).collect();
    format!("{:#}\n", Json::Object(blocks))
}

fn settings(Entry { about, settings, .. }: &Entry) -> Json {
    let properties: Map<_, _> = settings.iter().map(|it| (it.name.to_owned(), schema(it))).collect();
    let required = settings.iter().filter(|setting| setting.default == Fallback::Required);
    let required: Vec<_> = required.map(|setting| setting.name).collect();
    json!({
        "description": about,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn schema(setting: &Setting) -> Json {
    let Setting { kind, unit, default, about, .. } = setting;
    let mut schema = match kind {
        // The schema of a flow says what it is.
        Kind::Whole { min, max } if is_size(setting) => {
            json!({ "$ref": "#/$defs/size", "minimum": min, "maximum": max })
        }
        Kind::Whole { min, max: u64::MAX } => json!({ "type": "integer", "minimum": min }),
        Kind::Whole { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Real { min, max } => json!({ "type": "number", "minimum": min, "maximum": max }),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::Text => json!({ "type": "string", "minLength": 1 }),
        Kind::Flag => json!({ "type": "boolean" }),
    };
    let unit = if unit.is_empty() { String::new() } else { format!(" In {unit}.") };
    schema["description"] = format!("{about}{unit}").into();
    if let Some(default) = default.value() {
        schema["default"] = match default {
            // Whole numbers without a point.
            Value::Number(number) if number.fract() == 0.0 => json!(number as i64),
            Value::Number(number) => json!(number),
            Value::Text(text) => json!(text),
            Value::Flag(flag) => json!(flag),
        };
    }
    schema
}
