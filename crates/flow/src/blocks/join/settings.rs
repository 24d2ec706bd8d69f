//! Settings of a join.

use super::{DEPTH_MAX, Full, Join, JoinOptions, JoinPolicy, Leftovers};
use crate::blocks::split::PORTS_MAX;
use crate::blocks::{Described, Fallback, Kind, Setting, Settings, Value};
use millrace::Result;
use std::time::Duration;

const fn choice(
    name: &'static str,
    words: &'static [&'static str],
    default: &'static str,
    about: &'static str,
) -> Setting {
    Setting { name, kind: Kind::Choice(words), unit: "", default: Fallback::Text(default), about }
}

const fn whole(
    name: &'static str,
    (min, max): (u64, u64),
    unit: &'static str,
    default: Fallback,
    about: &'static str,
) -> Setting {
    Setting { name, kind: Kind::Whole { min, max }, unit, default, about }
}

impl Described for Join {
    const NAME: &'static str = "Join";
    const ABOUT: &'static str = "Puts together messages of its inputs `in0`, `in1`, … by their times, and sends them at outputs `out0`, `out1`, …, \
         which are in step: message n of each is its part of set n. Policy `window` has output `window` besides, with a message per \
         window that says how many messages of each output belong to it (a `u64` each, little-endian). With `leftovers: rest`, what is \
         in no set is sent at output `rest`. Policies: `exact`: the oldest messages, at most `tolerance` apart; `approximate`: those that \
         are closest together (the algorithm of ROS); `latest`: each message of the `driver`, and what came last at the others; \
         `nearest`: the same with what is nearest in time; `interpolate`: with what lies on the line between two messages of `f32` \
         numbers; `window`: all messages of a time window.";
    const OPTIONAL_OUTPUTS: &'static [(&'static str, &'static str)] =
        &[("window", "policy `window`"), ("rest", "leftovers `rest`")];
    const SETTINGS: &'static [Setting] = &[
        whole("inputs", (2, PORTS_MAX as u64), "", Fallback::Number(2.0), "Number of inputs."),
        choice(
            "policy",
            &["exact", "approximate", "latest", "nearest", "interpolate", "window"],
            "exact",
            "Which messages make a set.",
        ),
        whole(
            "tolerance",
            (0, u64::MAX),
            "ns",
            Fallback::Absent,
            "The most between messages of a set; without it 0 for `exact`, and no limit for the others.",
        ),
        whole(
            "driver",
            (0, PORTS_MAX as u64 - 1),
            "",
            Fallback::Number(0.0),
            "Number of the input that drives.",
        ),
        whole("size", (1, u64::MAX), "ns", Fallback::Absent, "Length of a window, needed for `window` only."),
        whole(
            "slide",
            (1, u64::MAX),
            "ns",
            Fallback::Absent,
            "From the beginning of one window to that of the next; without it, its length.",
        ),
        whole(
            "depth",
            (1, DEPTH_MAX as u64),
            "messages",
            Fallback::Number(16.0),
            "Messages of each input that it looks at.",
        ),
        whole(
            "deadline",
            (0, 86_400_000),
            "ms",
            Fallback::Absent,
            "How long a message may wait for others; without it, for ever.",
        ),
        choice(
            "full",
            &["wait", "drop"],
            "wait",
            "What becomes of more messages than `depth`: they wait in their queue, or the oldest is left over.",
        ),
        choice(
            "leftovers",
            &["drop", "rest"],
            "drop",
            "What becomes of messages that are in no set: they are let go of, or sent at output `rest`.",
        ),
    ];

    fn from_settings(settings: &Settings) -> Result<Self> {
        let tolerance = settings.whole("tolerance");
        let wide = tolerance.unwrap_or(u64::MAX);
        let driver = settings.whole("driver").unwrap_or(0) as usize;
        let policy = match settings.text("policy") {
            "approximate" => JoinPolicy::Approximate { tolerance: wide },
            "latest" => JoinPolicy::Latest { driver },
            "nearest" => JoinPolicy::Nearest { driver, tolerance: wide },
            "interpolate" => JoinPolicy::Interpolate { driver, tolerance: wide },
            "window" => {
                let size = settings.whole("size").ok_or_else(|| {
                    let given: Value = "window".into();
                    settings.refuse("policy", &given, "given with size, the length of a window")
                })?;
                JoinPolicy::Window { size, slide: settings.whole("slide").unwrap_or(size) }
            }
            _ => JoinPolicy::Exact { tolerance: tolerance.unwrap_or(0) },
        };
        let options = JoinOptions {
            depth: settings.whole("depth").unwrap_or(0) as usize,
            deadline: settings.whole("deadline").map(Duration::from_millis),
            full: if settings.text("full") == "drop" { Full::Drop } else { Full::Wait },
            leftovers: if settings.text("leftovers") == "rest" { Leftovers::Rest } else { Leftovers::Drop },
        };
        Self::new(settings.whole("inputs").unwrap_or(0) as usize, policy, options)
    }
}
