//! Who may do what: everything that is made here belongs to the user of this process, and nobody else is let in.

use super::{done, owned, wide};
use crate::error::{Error, ErrorKind, Result};
use crate::os::Access;
use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::OnceLock;
use windows_sys::Win32::Foundation::{GENERIC_ALL, GENERIC_WRITE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo,
    SDDL_REVISION_1, SE_FILE_OBJECT,
};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACL, DACL_SECURITY_INFORMATION, GetAce, GetTokenInformation, INHERIT_ONLY_ACE,
    OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER,
    TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_APPEND_DATA, FILE_DELETE_CHILD, FILE_READ_ATTRIBUTES, FILE_WRITE_ATTRIBUTES,
    FILE_WRITE_DATA, FILE_WRITE_EA, READ_CONTROL, SYNCHRONIZE, WRITE_DAC, WRITE_OWNER,
};
use windows_sys::Win32::System::SystemServices::{ACCESS_ALLOWED_ACE_TYPE, ACCESS_DENIED_ACE_TYPE};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// A security descriptor.
pub(super) struct Descriptor(PSECURITY_DESCRIPTOR);

// SAFETY: memory that nobody writes to any more.
unsafe impl Send for Descriptor {}
// SAFETY: as above.
unsafe impl Sync for Descriptor {}

impl Descriptor {
    /// From its text form. It is kept for ever.
    fn parse(text: &str) -> io::Result<Self> {
        let (text, mut descriptor) = (wide(text), null_mut());
        // SAFETY: a terminated text, and an out-parameter of the right type.
        done(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                null_mut(),
            )
        })?;
        Ok(Self(descriptor))
    }

    pub(super) fn as_ptr(&self) -> PSECURITY_DESCRIPTOR {
        self.0
    }

    /// As functions take it that make something.
    pub(super) fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: self.0,
            bInheritHandle: 0,
        }
    }
}

/// Of directories and files.
pub(super) fn private_file() -> io::Result<&'static Descriptor> {
    static ONCE: OnceLock<Descriptor> = OnceLock::new();
    private(&ONCE, "OICI;FA")
}

/// Of events, semaphores and pipes.
pub(super) fn private_object() -> io::Result<&'static Descriptor> {
    static ONCE: OnceLock<Descriptor> = OnceLock::new();
    private(&ONCE, ";GA")
}

fn private(once: &'static OnceLock<Descriptor>, rights: &str) -> io::Result<&'static Descriptor> {
    if let Some(known) = once.get() {
        return Ok(known);
    }
    let me = user()?;
    // Owned by the user, which is not what a process of an administrator makes otherwise; protected from what a directory hands down.
    let made = Descriptor::parse(&format!("O:{me}D:P(A;{rights};;;{me})"))?;
    Ok(once.get_or_init(|| made))
}

/// The user of this process, as a SID in its text form.
pub(super) fn user() -> io::Result<&'static str> {
    static USER: OnceLock<String> = OnceLock::new();
    if let Some(known) = USER.get() {
        return Ok(known);
    }
    let mut token = null_mut();
    // SAFETY: a pseudo handle, which is always valid.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: an out-parameter of the right type.
    done(unsafe { OpenProcessToken(process, TOKEN_QUERY, &raw mut token) })?;
    let token = owned(token)?;
    // As many as a SID can have, and the structure before it; words, so that it is aligned.
    let (mut words, mut bytes) = ([0_u64; 32], 0);
    let room = size_of_val(&words) as u32;
    let buffer = words.as_mut_ptr().cast();
    // SAFETY: a buffer of so many bytes.
    done(unsafe { GetTokenInformation(token.as_raw_handle(), TokenUser, buffer, room, &raw mut bytes) })?;
    // SAFETY: the call has put one there; it is aligned.
    let user = unsafe { &*words.as_ptr().cast::<TOKEN_USER>() };
    let text = text_of(user.User.Sid)?;
    Ok(USER.get_or_init(|| text))
}

/// The text form of a valid SID.
fn text_of(sid: PSID) -> io::Result<String> {
    let mut text = null_mut();
    // SAFETY: callers have a valid one; an out-parameter of the right type.
    done(unsafe { ConvertSidToStringSidW(sid, &raw mut text) })?;
    let mut units = Vec::new();
    loop {
        // SAFETY: a terminated text, which is not read beyond its end.
        let unit = unsafe { *text.add(units.len()) };
        if unit == 0 {
            break;
        }
        units.push(unit);
    }
    // SAFETY: the call above says that it is to be freed like this.
    unsafe { LocalFree(text.cast()) };
    Ok(String::from_utf16_lossy(&units))
}

/// The system itself, and administrators, who can take what they like; who owns a thing, whoever that is.
const TRUSTED: [&str; 4] = ["S-1-5-18", "S-1-5-32-544", "S-1-3-0", "S-1-3-4"];

impl Access {
    /// Rights that others must not have.
    fn forbidden(self) -> u32 {
        let harmless = SYNCHRONIZE | READ_CONTROL | FILE_READ_ATTRIBUTES;
        let change =
            FILE_WRITE_DATA | FILE_APPEND_DATA | FILE_WRITE_EA | FILE_DELETE_CHILD | FILE_WRITE_ATTRIBUTES;
        match self {
            Self::None => !harmless,
            Self::ReadOnly => change | DELETE | WRITE_DAC | WRITE_OWNER | GENERIC_WRITE | GENERIC_ALL,
        }
    }
}

/// Refuses what belongs to somebody else, or gives others more than `access`. `path` names it in errors.
pub(super) fn check(path: &Path, file: &File, access: Access) -> Result<()> {
    let failed = |e: io::Error| Error::io(format!("cannot look at {}", path.display()), e);
    let refuse = |why: String| Err(Error::new(ErrorKind::Permission, format!("{} {why}", path.display())));
    let (mut owner, mut list, mut descriptor) = (null_mut(), null_mut(), null_mut());
    // SAFETY: an open handle, and out-parameters of the right types.
    let code = unsafe {
        GetSecurityInfo(
            file.as_raw_handle(),
            SE_FILE_OBJECT,
            OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
            &raw mut owner,
            null_mut(),
            &raw mut list,
            null_mut(),
            &raw mut descriptor,
        )
    };
    if code != 0 {
        return Err(failed(io::Error::from_raw_os_error(code.cast_signed())));
    }
    let _freed = Freed(descriptor);
    let me = user().map_err(failed)?;
    let owner = text_of(owner).map_err(failed)?;
    // What an administrator makes belongs to the administrators, unless it says whom.
    if owner != me && !TRUSTED.contains(&owner.as_str()) {
        return refuse(format!("belongs to user {owner}, not to user {me}"));
    }
    if list.is_null() {
        return refuse("is open to everybody".to_owned());
    }
    for (who, rights) in entries(list).map_err(failed)? {
        if who != me && !TRUSTED.contains(&who.as_str()) && rights & access.forbidden() != 0 {
            return refuse(format!("gives {who} the rights {rights:#x}: other users could interfere"));
        }
    }
    Ok(())
}

/// Whom a list allows what, of the thing itself.
fn entries(list: *const ACL) -> io::Result<Vec<(String, u32)>> {
    // SAFETY: the caller has it from the system, and still has what it lies in.
    let count = unsafe { (*list).AceCount };
    let mut allowed = Vec::new();
    for index in 0..count.into() {
        let mut entry = null_mut();
        // SAFETY: as above; the index is below the count.
        done(unsafe { GetAce(list, index, &raw mut entry) })?;
        // SAFETY: every kind of entry starts with this header.
        let header = unsafe { (*entry.cast::<ACCESS_ALLOWED_ACE>()).Header };
        let kind = u32::from(header.AceType);
        if kind == ACCESS_DENIED_ACE_TYPE || u32::from(header.AceFlags) & INHERIT_ONLY_ACE != 0 {
            continue;
        }
        if kind != ACCESS_ALLOWED_ACE_TYPE {
            // Of a kind that nobody puts on files of ours.
            allowed.push((format!("somebody (by an entry of kind {kind})"), u32::MAX));
            continue;
        }
        let entry: *const ACCESS_ALLOWED_ACE = entry.cast();
        // SAFETY: it is of this kind.
        let rights = unsafe { (*entry).Mask };
        // SAFETY: as above.
        let sid = unsafe { &raw const (*entry).SidStart };
        allowed.push((text_of(sid.cast_mut().cast())?, rights));
    }
    Ok(allowed)
}

/// A descriptor that the system has made for us.
struct Freed(PSECURITY_DESCRIPTOR);

impl Drop for Freed {
    fn drop(&mut self) {
        // SAFETY: what made it says that it is to be freed like this; nothing of it is used any more.
        unsafe { LocalFree(self.0) };
    }
}
