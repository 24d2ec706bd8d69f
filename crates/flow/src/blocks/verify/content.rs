//! Content of a test message: who it is, and bytes of which each counts.
//!
//! ```text
//!  0  sequence    u64   position in its stream, from 0
//!  8  count       u64   messages of the stream; all ones: unlimited
//! 16  source      u32   number of the stream
//! 20  body check  u32   xxHash64 of the bytes from 28 on, its lower half
//! 24  head check  u32   the same of the bytes before
//! 28  body
//! ```
//!
//! All little-endian. Two checks, so that a message with a damaged body is known for what it is, and not counted as lost as well.

/// Bytes before the body: the size of the smallest test message.
pub(crate) const HEAD_BYTES: usize = 28;
/// Body bytes repeat after so many messages.
const PATTERNS: usize = 256;

/// The lower half of xxHash64 (Collet 2012), as fast as memory is read, without a table.
fn check_of(bytes: &[u8]) -> u32 {
    xxhash_rust::xxh64::xxh64(bytes, 0) as u32
}

/// Who a test message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) source: u32,
    pub(crate) sequence: u64,
    pub(crate) count: u64,
}

/// What a message turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Intact(Identity),
    DamagedBody(Identity),
    /// Its head is damaged, or it never was a test message.
    Unknown,
}

/// Writes test messages of one size.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Random bytes; the body of a message is a piece of them, which begins at another place in the next.
    random: Vec<u8>,
}

impl Writer {
    /// For messages of `bytes` bytes, at least [`HEAD_BYTES`].
    pub(crate) fn new(bytes: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            // Xorshift (Marsaglia 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        Self { random: (0..bytes + PATTERNS).map(|_| next()).collect() }
    }

    pub(crate) fn write(&self, identity: Identity, into: &mut [u8]) {
        let Some((head, body)) = into.split_first_chunk_mut::<HEAD_BYTES>() else { return };
        let at = (identity.sequence % PATTERNS as u64) as usize;
        body.copy_from_slice(&self.random[at..at + body.len()]);
        head[..8].copy_from_slice(&identity.sequence.to_le_bytes());
        head[8..16].copy_from_slice(&identity.count.to_le_bytes());
        head[16..20].copy_from_slice(&identity.source.to_le_bytes());
        head[20..24].copy_from_slice(&check_of(body).to_le_bytes());
        let check = check_of(&head[..24]);
        head[24..].copy_from_slice(&check.to_le_bytes());
    }
}

/// Looks what a message is.
pub(crate) fn examine(bytes: &[u8]) -> Finding {
    let Some((head, body)) = bytes.split_first_chunk::<HEAD_BYTES>() else { return Finding::Unknown };
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    if check_of(&head[..24]) != word(24) {
        return Finding::Unknown;
    }
    let identity = Identity { source: word(16), sequence: long(0), count: long(8) };
    if check_of(body) == word(20) { Finding::Intact(identity) } else { Finding::DamagedBody(identity) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_bit_is_found_and_only_those_of_the_head_cost_the_identity() {
        let identity = Identity { source: 7, sequence: 0x0102_0304_0506_0708, count: u64::MAX };
        let mut message = [0; 100];
        Writer::new(100).write(identity, &mut message);
        assert_eq!(examine(&message), Finding::Intact(identity));
        for bit in 0..800 {
            message[bit / 8] ^= 1 << (bit % 8);
            let expected =
                if bit / 8 < HEAD_BYTES { Finding::Unknown } else { Finding::DamagedBody(identity) };
            assert_eq!(examine(&message), expected, "bit {bit}");
            message[bit / 8] ^= 1 << (bit % 8);
        }
        for bytes in 0..100 {
            let expected = if bytes < HEAD_BYTES { Finding::Unknown } else { Finding::DamagedBody(identity) };
            assert_eq!(examine(&message[..bytes]), expected, "cut to {bytes} bytes");
        }
    }

    #[test]
    fn messages_that_follow_each_other_have_other_bodies() {
        let writer = Writer::new(64);
        let mut messages = [[0; 64]; 2];
        for (sequence, message) in messages.iter_mut().enumerate() {
            writer.write(Identity { source: 0, sequence: sequence as u64, count: 2 }, message);
        }
        assert_ne!(messages[0][HEAD_BYTES..], messages[1][HEAD_BYTES..]);
    }
}
