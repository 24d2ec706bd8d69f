//! What a participant does that finds a recovery stuck when it wants to begin an operation.

use super::sweep;
use crate::registry::{Domain, call_off};

/// Looks for the dead itself, and does not wait for somebody who only waits. `token`: that of the recovery. Passed to the layers below as
/// `Domain::assist`.
pub(crate) fn assist(domain: &Domain, token: u32) {
    // Later, Nothing or an error: the caller looks at the word again and comes back if need be.
    let _ = sweep(domain);
    call_off(domain, token);
}
