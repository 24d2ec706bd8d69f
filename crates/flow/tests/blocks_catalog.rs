//! Blocks that are built from settings.

use millrace::ErrorKind;
use millrace_flow::blocks::{self, Fallback, Kind, Value};

fn error(block: &str, given: &[(&str, Value)]) -> String {
    let error = blocks::find(block).unwrap().build(given).err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    error.to_string()
}

#[test]
fn every_block_can_be_built_from_its_declaration_and_has_a_sentence_for_each_setting() {
    for entry in blocks::catalog() {
        let block = entry.build(&entry.sample()).unwrap_or_else(|error| panic!("{}: {error}", entry.name));
        let ports = block.ports();
        assert!(!ports.inputs.is_empty() || !ports.outputs.is_empty(), "{} has ports", entry.name);
        assert!(entry.about.ends_with(['.', ')']), "{}", entry.name);
        for setting in entry.settings {
            assert!(setting.about.ends_with('.'), "{}.{}", entry.name, setting.name);
            // The value is one of those allowed, or the declaration contradicts itself.
            let mut given = entry.sample();
            given.retain(|(name, _)| *name != setting.name);
            given.push((setting.name, setting.sample()));
            assert!(entry.build(&given).is_ok(), "{}.{}", entry.name, setting.name);
        }
    }
}

#[test]
fn a_bad_setting_is_refused_with_block_setting_value_and_limits() {
    for entry in blocks::catalog() {
        for setting in entry.settings {
            let bad: Vec<Value> = match setting.kind {
                Kind::Whole { min, max } => {
                    let beyond = (max.min(1 << 53) as f64) + 2.0;
                    let below = min as f64 - 1.0;
                    vec![beyond.into(), below.into(), 1.5.into(), f64::NAN.into(), "7".into()]
                }
                Kind::Real { .. } => vec![f64::NAN.into(), f64::INFINITY.into(), f64::NEG_INFINITY.into()],
                Kind::Choice(_) => vec!["no such word".into(), 1.0.into()],
                Kind::Text => vec!["".into(), 1.0.into()],
                Kind::Flag => vec!["true".into(), 1.0.into()],
            };
            for value in bad {
                let mut given = entry.sample();
                given.retain(|(name, _)| *name != setting.name);
                given.push((setting.name, value.clone()));
                let expected = format!(
                    "setting {} of {} is {value}, must be {}",
                    setting.name, entry.name, setting.kind
                );
                assert_eq!(error(entry.name, &given), expected);
            }
            if setting.default == Fallback::Required {
                let mut given = entry.sample();
                given.retain(|(name, _)| *name != setting.name);
                let expected = format!(
                    "setting {} of {} is missing, must be {}",
                    setting.name, entry.name, setting.kind
                );
                assert_eq!(error(entry.name, &given), expected);
            }
        }
    }
}

#[test]
fn what_is_not_declared_is_refused_with_what_is() {
    assert_eq!(
        error("NullSink", &[("size", 1.into())]),
        "NullSink has no setting \"size\"; it has [\"count\"]"
    );
    assert_eq!(
        error("NullSink", &[("count", 1.into()), ("count", 2.into())]),
        "setting count of NullSink is given twice"
    );
    let unknown = blocks::find("Nothing").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    assert!(unknown.to_string().contains("\"NullSource\""), "{unknown}");
}

#[test]
fn outputs_that_are_optional_exist_with_some_settings_and_not_without() {
    let names = |block: Box<dyn millrace_flow::Block>| -> Vec<String> {
        block.ports().outputs.iter().map(|port| port.name.to_string()).collect()
    };
    for entry in blocks::catalog() {
        let plain = names(entry.build(&entry.sample()).unwrap());
        assert!(entry.optional_outputs.iter().all(|(name, _)| !plain.iter().any(|port| port == name)));
    }
    let given = [("policy", "window".into()), ("size", 5.into()), ("leftovers", "rest".into())];
    let full = names(blocks::find("Join").unwrap().build(&given).unwrap());
    assert_eq!(full, ["out0", "out1", "window", "rest"]);
}
