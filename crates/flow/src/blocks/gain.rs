//! Samples times a factor.

use super::bytes::{bytes_mut, copy_of};
use super::{Described, Fallback, Kind, Setting, Settings};
use crate::block::Block;
use crate::io::Io;
use crate::ports::Ports;
use crate::work::Work;
use millrace::{Error, Message, Result};

/// What the bytes of a message are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SampleFormat {
    /// Floating point numbers of 4 bytes.
    #[default]
    F32,
    /// Floating point numbers of 8 bytes.
    F64,
    /// Whole numbers of 2 bytes.
    I16,
}

impl SampleFormat {
    /// Bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 => 8,
            Self::I16 => 2,
        }
    }
}

/// Multiplies samples, in the byte order of the machine, by a factor. Whole numbers are rounded to the nearest, ties to even, and stay within
/// their range. A message that nobody else has is changed in place, any other is copied. Input: `in`. Output: `out`.
#[derive(Debug)]
pub struct Gain {
    factor: f64,
    format: SampleFormat,
}

impl Gain {
    /// One that multiplies by `factor`, a finite number.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn new(factor: f64, format: SampleFormat) -> Result<Self> {
        if !factor.is_finite() || !(factor as f32).is_finite() {
            let message =
                format!("setting factor of Gain is {factor}, must be -{} to {}", f32::MAX, f32::MAX);
            return Err(Error::invalid_argument(message));
        }
        Ok(Self { factor, format })
    }

    fn check(&self, message: &Message<'_>) -> Result<()> {
        let (bytes, each) = (message.len(), self.format.bytes());
        if bytes.is_multiple_of(each) {
            return Ok(());
        }
        let sequence = message.sequence();
        let what = format!("message {sequence} has {bytes} bytes, which are no samples of {each} bytes each");
        Err(Error::invalid_argument(what))
    }

    /// Multiplies where they are.
    fn scale(&self, samples: &mut [u8]) {
        match self.format {
            SampleFormat::F32 => scale_f32(samples, self.factor as f32),
            SampleFormat::F64 => scale_f64(samples, self.factor),
            SampleFormat::I16 => scale_i16(samples, self.factor as f32),
        }
    }
}

// Chunks of bytes instead of slices of numbers: nothing promises that a message is aligned. The compiler makes vector instructions of each
// of these loops, also of the third.

fn scale_f32(samples: &mut [u8], factor: f32) {
    for sample in samples.as_chunks_mut::<4>().0 {
        *sample = (f32::from_ne_bytes(*sample) * factor).to_ne_bytes();
    }
}

fn scale_f64(samples: &mut [u8], factor: f64) {
    for sample in samples.as_chunks_mut::<8>().0 {
        *sample = (f64::from_ne_bytes(*sample) * factor).to_ne_bytes();
    }
}

fn scale_i16(samples: &mut [u8], factor: f32) {
    // 1.5 × 2²³: a float of this size has no bits left for fractions. Added to a small number it rounds that to the nearest whole one, ties to
    // even, which is then the lower half of its bits. `round_ties_even` and `as` would be calls, one sample at a time, on the oldest x86-64.
    const ROUND: f32 = 12_582_912.0;
    for sample in samples.as_chunks_mut::<2>().0 {
        let scaled = f32::from(i16::from_ne_bytes(*sample)) * factor;
        let limited = scaled.clamp(f32::from(i16::MIN), f32::from(i16::MAX));
        *sample = ((limited + ROUND).to_bits() as u16).to_ne_bytes();
    }
}

impl Described for Gain {
    const NAME: &'static str = "Gain";
    const ABOUT: &'static str = "Multiplies samples by a factor, in place where nobody else has the message. Whole numbers are rounded and stay \
         within their range.";
    const SETTINGS: &'static [Setting] = &[
        Setting {
            name: "factor",
            kind: Kind::Real { min: -(f32::MAX as f64), max: f32::MAX as f64 },
            unit: "",
            default: Fallback::Required,
            about: "What samples are multiplied by.",
        },
        Setting {
            name: "format",
            kind: Kind::Choice(&["f32", "f64", "i16"]),
            unit: "",
            default: Fallback::Text("f32"),
            about: "What the bytes of a message are, in the byte order of the machine.",
        },
    ];

    fn from_settings(settings: &Settings) -> Result<Self> {
        let format = match settings.text("format") {
            "f64" => SampleFormat::F64,
            "i16" => SampleFormat::I16,
            _ => SampleFormat::F32,
        };
        Self::new(settings.number("factor").unwrap_or(0.0), format)
    }
}

impl Block for Gain {
    fn ports(&self) -> Ports {
        Ports::new().input("in").output("out")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        for at in 0..io.available(0).min(io.room(0)?) {
            let Some(original) = io.peek(0, 0)? else { break };
            if let Err(error) = self.check(&original) {
                if at > 0 {
                    // What was changed in place must not come again: it is sent first, then this one fails.
                    break;
                }
                io.next(0)?;
                return Err(error);
            }
            if io.owns_next(0) {
                let Some(message) = io.next(0)? else { break };
                self.scale(bytes_mut(&message));
                io.forward(0, message);
                continue;
            }
            let Some(mut copy) = copy_of(io, &original)? else {
                return Ok(Work::NeedMemory { bytes: original.len() });
            };
            self.scale(copy.bytes_mut());
            io.next(0)?;
            io.send(0, copy);
        }
        Ok(Work::Ok)
    }
}
