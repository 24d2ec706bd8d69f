//! The blocks of this crate by name, for whoever builds them from data: bindings, files, documents.

use super::settings::{Fallback, Setting, Settings, Value};
use super::{
    Copy, FileSink, FileSource, Gain, Head, Join, Merge, NullSink, NullSource, Split, Throttle, VerifySink,
    VerifySource,
};
use crate::block::Block;
use millrace::{Error, ErrorKind, Result};
use std::fmt::Write;

/// A block that can be built from settings.
pub trait Described: Block + Sized {
    /// Name of the kind of block.
    const NAME: &'static str;
    /// What it does, in a few sentences.
    const ABOUT: &'static str;
    /// Its settings.
    const SETTINGS: &'static [Setting];
    /// Outputs that it has with some settings only, and with which.
    const OPTIONAL_OUTPUTS: &'static [(&'static str, &'static str)] = &[];

    /// Builds one.
    ///
    /// # Errors
    /// `InvalidArgument` for settings that do not go together.
    fn from_settings(settings: &Settings) -> Result<Self>;
}

/// A kind of block.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Its settings.
    pub settings: &'static [Setting],
    /// Outputs that it has with some settings only, and with which.
    pub optional_outputs: &'static [(&'static str, &'static str)],
    make: fn(&Settings) -> Result<Box<dyn Block>>,
}

impl Entry {
    const fn of<B: Described>() -> Self {
        let make = |settings: &Settings| Ok(Box::new(B::from_settings(settings)?) as Box<dyn Block>);
        let (settings, optional_outputs) = (B::SETTINGS, B::OPTIONAL_OUTPUTS);
        Self { name: B::NAME, about: B::ABOUT, settings, optional_outputs, make }
    }

    /// Builds a block of this kind. Its ports may depend on the settings: ask it for them.
    ///
    /// # Errors
    /// `InvalidArgument`, which names block, setting, value and limits.
    ///
    /// ```
    /// use millrace_flow::blocks;
    ///
    /// let sink = blocks::find("NullSink")?.build(&[("count", 100.into())])?;
    /// assert_eq!(sink.ports().inputs[0].name, "in");
    /// let error = blocks::find("NullSink")?.build(&[("count", 0.into())]).err().unwrap();
    /// assert!(error.to_string().contains("setting count of NullSink is 0, must be a whole number from 1"));
    /// # Ok::<_, millrace::Error>(())
    /// ```
    pub fn build(&self, given: &[(&str, Value)]) -> Result<Box<dyn Block>> {
        (self.make)(&Settings::new(self.name, self.settings, given)?)
    }

    /// Values for those settings that must be given.
    pub fn sample(&self) -> Vec<(&'static str, Value)> {
        let required = self.settings.iter().filter(|setting| setting.default == Fallback::Required);
        required.map(|setting| (setting.name, setting.sample())).collect()
    }

    /// Its section in the documents, as Markdown.
    ///
    /// # Errors
    /// When [`Entry::sample`] is not enough to build one.
    fn describe(&self, page: &mut String) -> Result<()> {
        let ports = self.build(&self.sample())?.ports();
        let names = |ports: &[crate::ports::PortSpec]| {
            let names: Vec<_> = ports.iter().map(|port| format!("`{}`", port.name)).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        let (inputs, mut outputs) = (names(&ports.inputs), names(&ports.outputs));
        for (name, when) in self.optional_outputs {
            // Writing to a text cannot fail.
            let _ = write!(outputs, ", with {when} `{name}`");
        }
        let head = format!("\n## {}\n\n{}\n\nInputs: {inputs}. Outputs: {outputs}.\n", self.name, self.about);
        page.push_str(&head);
        if !self.settings.is_empty() {
            page.push_str("\n| setting | value | unit | default | |\n|---|---|---|---|---|\n");
        }
        for Setting { name, kind, unit, default, about } in self.settings {
            let default = match default {
                Fallback::Required => "required".to_owned(),
                Fallback::Absent => "none".to_owned(),
                other => other.value().map_or_else(String::new, |value| format!("`{value}`")),
            };
            let _ = writeln!(page, "| `{name}` | {kind} | {unit} | {default} | {about} |");
        }
        Ok(())
    }
}

static CATALOG: [Entry; 13] = [
    Entry::of::<NullSource>(),
    Entry::of::<NullSink>(),
    Entry::of::<VerifySource>(),
    Entry::of::<VerifySink>(),
    Entry::of::<Copy>(),
    Entry::of::<Gain>(),
    Entry::of::<Split>(),
    Entry::of::<Merge>(),
    Entry::of::<Head>(),
    Entry::of::<Throttle>(),
    Entry::of::<Join>(),
    Entry::of::<FileSource>(),
    Entry::of::<FileSink>(),
];

/// Every kind of block of this crate.
pub fn catalog() -> &'static [Entry] {
    &CATALOG
}

/// The kind of block called `name`.
///
/// # Errors
/// `NotFound`, with the names that there are.
pub fn find(name: &str) -> Result<&'static Entry> {
    CATALOG.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let known: Vec<_> = CATALOG.iter().map(|entry| entry.name).collect();
        Error::new(ErrorKind::NotFound, format!("there is no block {name:?}; there are {known:?}"))
    })
}

const PAGE_HEAD: &str = "<!-- Generated by crates/xtask from crates/flow: blocks and their settings. Do not edit. -->

# Blocks

What a flow can be made of without writing a block: classes of `millrace/flow`, types of `millrace_flow::blocks`. Ports `in0`, `in1`, … are
`in[0]`, `in[1]`, … in TypeScript.
";

/// The page of all kinds of block, as Markdown.
///
/// # Errors
/// When a block cannot be built from its own declaration.
pub fn page() -> Result<String> {
    let mut page = PAGE_HEAD.to_owned();
    CATALOG.iter().try_for_each(|entry| entry.describe(&mut page))?;
    Ok(page)
}
