//! What a request is refused with: the protocol sends an error's name.

/// An error of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum XsError {
    /// The request makes no sense.
    Inval,
    /// The guest may not.
    Acces,
    /// It is there already.
    Exist,
    /// It is not there.
    Noent,
    /// Too many of them.
    Nospc,
    /// Not a request of the protocol.
    Nosys,
    /// Someone else changed what the transaction read.
    Again,
    /// The answer does not fit a message.
    TooBig,
}

impl XsError {
    /// The name that is sent.
    pub(super) fn name(self) -> &'static str {
        match self {
            XsError::Inval => "EINVAL",
            XsError::Acces => "EACCES",
            XsError::Exist => "EEXIST",
            XsError::Noent => "ENOENT",
            XsError::Nospc => "ENOSPC",
            XsError::Nosys => "ENOSYS",
            XsError::Again => "EAGAIN",
            XsError::TooBig => "E2BIG",
        }
    }
}
