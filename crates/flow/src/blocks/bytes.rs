//! Bytes of messages, within the rules of a flow: what has been sent is only read, and what is to be sent is its sender's alone.

use crate::io::{Io, NewMessage};
use millrace::{Message, Result};

/// The bytes of a message that was received.
pub(super) fn bytes<'a>(message: &Message<'a>) -> &'a [u8] {
    // SAFETY: an input holds its messages during the call, and holders of a message that is shared do not write to it.
    unsafe { message.bytes() }
}

/// The bytes of a message that nobody else has: a new one, or one that [is our own](crate::Io::owns_next).
pub(super) fn bytes_mut<'a>(message: &Message<'a>) -> &'a mut [u8] {
    // SAFETY: it is the only reference, held during the call, and each caller makes one slice of it.
    let all = unsafe { message.bytes_mut() };
    let used = message.len().min(all.len());
    &mut all[..used]
}

/// A new message like `original`, its bytes included; `None`: there is no memory for it now.
pub(super) fn copy_of<'a>(io: &Io<'a>, original: &Message<'a>) -> Result<Option<NewMessage<'a>>> {
    let copy = io.allocate(original.len())?;
    if let Some(copy) = &copy {
        copy_into(copy, original);
    }
    Ok(copy)
}

/// Makes a new message one like `original`.
pub(super) fn copy_into(copy: &Message<'_>, original: &Message<'_>) {
    copy.fill(bytes(original));
    copy.describe_as(original);
}
