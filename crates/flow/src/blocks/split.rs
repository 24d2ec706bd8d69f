//! One stream to several blocks, each message to one of them.

use super::{Described, Fallback, Kind, Setting, Settings};
use crate::block::Block;
use crate::io::Io;
use crate::ports::Ports;
use crate::work::Work;
use millrace::{Error, Message, Result};

/// Outputs, or inputs, that a block of many may have.
pub(super) const PORTS_MAX: usize = 64;

/// Which output of a [`Split`] gets a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SplitBy {
    /// Each its turn, but for those whose receiver has ended.
    #[default]
    Turn,
    /// Always the same one for the same sequence number.
    Sequence,
    /// Always the same one for the same source.
    Source,
    /// Always the same one for the same tag.
    Tag,
}

/// Sends each message to one of several outputs, and waits when that one has no room. A message of a key whose receiver has
/// ended is let go of, and counted as undelivered. For each message to all of several inputs, no block
/// is needed: link an output to each of them. Input: `in`. Outputs: `out0`, `out1`, …
#[derive(Debug)]
pub struct Split {
    outputs: usize,
    by: SplitBy,
    turn: usize,
}

impl Split {
    /// One with `outputs` outputs, 1 to 64.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn new(outputs: usize, by: SplitBy) -> Result<Self> {
        check_ports("outputs of Split", outputs)?;
        Ok(Self { outputs, by, turn: 0 })
    }

    fn choose(&self, message: &Message<'_>, is_open: impl Fn(usize) -> bool) -> usize {
        let key = match self.by {
            SplitBy::Turn => {
                let mut turns = (0..self.outputs).map(|step| (self.turn + step) % self.outputs);
                return turns.find(|output| is_open(*output)).unwrap_or(self.turn);
            }
            SplitBy::Sequence => message.sequence(),
            SplitBy::Source => u64::from(message.source()),
            SplitBy::Tag => message.tag(),
        };
        // The upper half of a product with all of its bits counts how often `outputs` fits in: as even as a remainder, without a division.
        ((u128::from(mix(key)) * self.outputs as u128) >> 64) as usize
    }
}

/// Spreads keys that are close to each other: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(key: u64) -> u64 {
    let key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ (key >> 31)
}

impl Described for Split {
    const NAME: &'static str = "Split";
    const ABOUT: &'static str = "Sends each message to one of its outputs `out0`, `out1`, …, and waits when that one has no room. (To send \
         each message to several blocks, link one output to all of them.)";
    const SETTINGS: &'static [Setting] = &[
        Setting {
            name: "outputs",
            kind: Kind::Whole { min: 1, max: PORTS_MAX as u64 },
            unit: "",
            default: Fallback::Number(2.0),
            about: "Number of outputs.",
        },
        Setting {
            name: "by",
            kind: Kind::Choice(&["turn", "sequence", "source", "tag"]),
            unit: "",
            default: Fallback::Text("turn"),
            about: "Which output gets a message: each its turn, or always the same one for the same sequence number, source or tag.",
        },
    ];

    fn from_settings(settings: &Settings) -> Result<Self> {
        let by = match settings.text("by") {
            "sequence" => SplitBy::Sequence,
            "source" => SplitBy::Source,
            "tag" => SplitBy::Tag,
            _ => SplitBy::Turn,
        };
        Self::new(settings.whole("outputs").unwrap_or(0) as usize, by)
    }
}

impl Block for Split {
    fn ports(&self) -> Ports {
        (0..self.outputs).fold(Ports::new().input("in"), |ports, at| ports.output(format!("out{at}")))
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        let mut rooms = [0; PORTS_MAX];
        for (output, room) in rooms[..self.outputs].iter_mut().enumerate() {
            *room = io.room(output)?;
        }
        let mut open = [false; PORTS_MAX];
        (0..self.outputs).for_each(|output| open[output] = !io.is_output_closed(output));
        while let Some(output) = io.peek(0, 0)?.map(|message| self.choose(&message, |output| open[output])) {
            if rooms[output] == 0 {
                return Ok(Work::NeedOutput { output });
            }
            let Some(message) = io.next(0)? else { break };
            io.forward(output, message);
            rooms[output] -= 1;
            self.turn = (output + 1) % self.outputs;
        }
        Ok(Work::Ok)
    }
}

/// Refuses a number of ports that no block may have.
pub(super) fn check_ports(what: &str, ports: usize) -> Result<()> {
    if (1..=PORTS_MAX).contains(&ports) {
        return Ok(());
    }
    let message = format!("{what}: {ports}, must be 1 to {PORTS_MAX}");
    Err(Error::invalid_argument(message))
}
