//! Settings of blocks: each is declared once, and serves validation, documents and whatever builds a block from data.

use millrace::{Error, Result};
use std::collections::BTreeMap;
use std::fmt;

/// The largest whole number that every binding can tell from its neighbours.
pub(crate) const WHOLE_MAX: f64 = 9_007_199_254_740_991.0;

/// Value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number, whole or not.
    Number(f64),
    /// A text.
    Text(String),
    /// Yes or no.
    Flag(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(f64::from(number))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// Type and limits of a setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number within limits.
    Whole {
        /// The least.
        min: u64,
        /// The most; at most 2⁵³ − 1.
        max: u64,
    },
    /// A finite number within limits.
    Real {
        /// The least.
        min: f64,
        /// The most.
        max: f64,
    },
    /// One of several words.
    Choice(&'static [&'static str]),
    /// A text that is not empty.
    Text,
    /// Yes or no.
    Flag,
}

impl Kind {
    fn allows(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Whole { min, max }, Value::Number(number)) => {
                number.fract() == 0.0 && (*min as f64..=(*max as f64).min(WHOLE_MAX)).contains(number)
            }
            (Self::Real { min, max }, Value::Number(number)) => (*min..=*max).contains(number),
            (Self::Choice(words), Value::Text(text)) => words.contains(&text.as_str()),
            (Self::Text, Value::Text(text)) => !text.is_empty(),
            (Self::Flag, Value::Flag(_)) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { min, max } if *max as f64 >= WHOLE_MAX => write!(f, "a whole number from {min}"),
            Self::Whole { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Real { min, max } if *min == f64::MIN && *max == f64::MAX => write!(f, "a finite number"),
            Self::Real { min, max } if *max == f64::MAX => write!(f, "a number from {min}"),
            Self::Real { min, max } if max.abs() >= 1e16 => write!(f, "a number from {min:e} to {max:e}"),
            Self::Real { min, max } => write!(f, "a number from {min} to {max}"),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::Text => write!(f, "a text that is not empty"),
            Self::Flag => write!(f, "true or false"),
        }
    }
}

/// What a setting is when it is not given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fallback {
    /// It must be given.
    Required,
    /// It is left out; what that means, its sentence says.
    Absent,
    /// This number.
    Number(f64),
    /// This text.
    Text(&'static str),
    /// This.
    Flag(bool),
}

impl Fallback {
    /// The value, if there is one.
    pub fn value(self) -> Option<Value> {
        match self {
            Self::Required | Self::Absent => None,
            Self::Number(number) => Some(number.into()),
            Self::Text(text) => Some(text.into()),
            Self::Flag(flag) => Some(flag.into()),
        }
    }
}

/// Declaration of a setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Its name, unique in the block.
    pub name: &'static str,
    /// Its type, and its limits.
    pub kind: Kind,
    /// Unit of a number, or nothing.
    pub unit: &'static str,
    /// What it is when it is not given.
    pub default: Fallback,
    /// One sentence.
    pub about: &'static str,
}

impl Setting {
    /// A value that it may have, for documents and tests: its default, if it has one.
    pub fn sample(&self) -> Value {
        self.default.value().unwrap_or_else(|| match self.kind {
            Kind::Whole { min, .. } => Value::Number(min as f64),
            Kind::Real { min, .. } => Value::Number(min.max(1.0)),
            Kind::Choice(words) => words[0].into(),
            Kind::Text => self.name.into(),
            Kind::Flag => false.into(),
        })
    }
}

/// Settings of one block, as declared: each is there, unless it may be left out, and within its limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    block: &'static str,
    declared: &'static [Setting],
    values: BTreeMap<&'static str, Value>,
}

impl Settings {
    /// Checks what is given for a block of kind `block`, and completes it.
    ///
    /// # Errors
    /// `InvalidArgument`, which names block, setting, value and limits.
    pub fn new(block: &'static str, declared: &'static [Setting], given: &[(&str, Value)]) -> Result<Self> {
        let mut settings = Self { block, declared, values: BTreeMap::new() };
        for (name, value) in given {
            let Some(setting) = declared.iter().find(|setting| setting.name == *name) else {
                let known: Vec<_> = declared.iter().map(|setting| setting.name).collect();
                return Err(Error::invalid_argument(format!(
                    "{block} has no setting {name:?}; it has {known:?}"
                )));
            };
            if !setting.kind.allows(value) {
                return Err(settings.refuse(setting.name, value, &setting.kind.to_string()));
            }
            if settings.values.insert(setting.name, value.clone()).is_some() {
                return Err(Error::invalid_argument(format!("setting {name} of {block} is given twice")));
            }
        }
        for Setting { name, default, kind, .. } in declared {
            if *default == Fallback::Required && !settings.values.contains_key(name) {
                return Err(Error::invalid_argument(format!(
                    "setting {name} of {block} is missing, must be {kind}"
                )));
            }
            if let (Some(value), false) = (default.value(), settings.values.contains_key(name)) {
                settings.values.insert(name, value);
            }
        }
        Ok(settings)
    }

    /// The value of setting `name`, if it is there.
    ///
    /// # Panics
    /// When the block declares no such setting.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let is_declared = self.declared.iter().any(|setting| setting.name == name);
        assert!(is_declared, "{} declares no setting {name:?}", self.block);
        self.values.get(name)
    }

    /// A number; `None`: it is left out.
    ///
    /// # Panics
    /// As [`Settings::get`], and when it is declared as something else.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name).map(|value| match value {
            Value::Number(number) => *number,
            other => panic!("{}.{name} is {other}, not a number", self.block),
        })
    }

    /// A whole number; `None`: it is left out.
    ///
    /// # Panics
    /// As [`Settings::number`].
    pub fn whole(&self, name: &str) -> Option<u64> {
        // At most 2^53 - 1, and at least 0.
        self.number(name).map(|number| number as u64)
    }

    /// A text; empty: it is left out.
    ///
    /// # Panics
    /// As [`Settings::number`].
    pub fn text(&self, name: &str) -> &str {
        self.get(name).map_or("", |value| match value {
            Value::Text(text) => text,
            other => panic!("{}.{name} is {other}, not a text", self.block),
        })
    }

    /// Yes or no; no: it is left out.
    ///
    /// # Panics
    /// As [`Settings::number`].
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| match value {
            Value::Flag(flag) => *flag,
            other => panic!("{}.{name} is {other}, neither true nor false", self.block),
        })
    }

    /// The error for a value that other settings do not allow: it must be `what`.
    pub(crate) fn refuse(&self, name: &str, value: &Value, what: &str) -> Error {
        Error::invalid_argument(format!("setting {name} of {} is {value}, must be {what}", self.block))
    }
}
